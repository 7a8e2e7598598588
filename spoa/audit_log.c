/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

enum {
	RESERVE = 128 * 1024,
	KEEP_MAX = 16 * 1024 * 1024,
};

struct audit_log {
	const char *path;
	int fd;
	off_t size;     /* whole lines */
	off_t reserved; /* room up to here is ours; 0: the file system cannot reserve */
	bool writable, dirty, torn; /* torn: half a line stands at the end and could not be taken off */
	struct buf kept;
	unsigned long lost;
};

static void set_writable(struct audit_log *log, bool writable)
{
	if (log->writable && !writable)
		log_error("%s: %m: requests are refused with audit_unavailable until it can be written (audit: required)", log->path);
	else if (!log->writable && writable)
		log_info("%s: can be written again", log->path);
	log->writable = writable;
}

static bool reserve(struct audit_log *log)
{
	if (log->reserved && log->reserved - log->size >= RESERVE / 2)
		return true;
	if (fallocate(log->fd, FALLOC_FL_KEEP_SIZE, log->size, RESERVE) == 0) {
		log->reserved = log->size + RESERVE;
		return true;
	}
	if (errno == EOPNOTSUPP || errno == ENOSYS || errno == ESPIPE || errno == ENODEV) {
		log->reserved = 0;
		return true;
	}
	return false;
}

static int open_file(const char *path, off_t *size)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return -1;
	}
	*size = st.st_size;
	return fd;
}

/* A line that a killed master left half written must not swallow the next one. */
static bool ends_in_half_a_line(const char *path, off_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char last = '\n';

	if (fd < 0)
		return false;
	if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

struct audit_log *audit_log_open(const char *path)
{
	struct audit_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->path = path;
	log->kept.limit = KEEP_MAX;
	log->fd = open_file(path, &log->size);
	if (log->fd < 0) {
		log_error("%s: %m", path);
		free(log);
		return NULL;
	}
	log->torn = ends_in_half_a_line(path, log->size);
	log->writable = true;
	set_writable(log, reserve(log));
	return log;
}

/* 0, or -1 with nothing of the bytes left in the file (or torn set). */
static int append(struct audit_log *log, struct span bytes)
{
	ssize_t n;

	if (log->torn) {
		if (write(log->fd, "\n", 1) != 1)
			return -1;
		log->torn = false;
		log->size++;
	}
	n = write(log->fd, bytes.p, bytes.len);
	if (n == (ssize_t)bytes.len) {
		log->size += n;
		log->dirty = true;
		return 0;
	}
	if (n > 0) {
		errno = ENOSPC;
		if (ftruncate(log->fd, log->size) < 0) {
			log->torn = true;
			log->size += n;
		}
		log->reserved = 0;
	}
	return -1;
}

int audit_log_write(void *ctx, struct span line)
{
	struct audit_log *log = ctx;

	if (log->kept.len == 0 && append(log, line) == 0) {
		if (!reserve(log))
			set_writable(log, false);
		return 0;
	}
	set_writable(log, false);
	if (buf_append_span(&log->kept, line) == 0)
		return 0;
	if (log->lost++ == 0)
		log_error("%s: audit lines are lost: more than %d MiB wait to be written", log->path, KEEP_MAX >> 20);
	return -1;
}

void audit_log_tick(struct audit_log *log)
{
	if (log->kept.len) {
		if (append(log, buf_span(&log->kept)) < 0)
			return;
		buf_reset(&log->kept);
		if (log->lost)
			log_error("%s: %lu audit lines were lost", log->path, log->lost);
		log->lost = 0;
	}
	set_writable(log, reserve(log));
	if (log->dirty && fdatasync(log->fd) < 0)
		set_writable(log, false);
	else
		log->dirty = false;
}

void audit_log_reopen(struct audit_log *log)
{
	off_t size;
	int fd = open_file(log->path, &size);

	if (fd < 0) {
		log_error("%s: %m: going on with the file that is open", log->path);
		return;
	}
	if (log->dirty)
		fdatasync(log->fd);
	close(log->fd);
	log->fd = fd;
	log->size = size;
	log->reserved = 0;
	log->torn = ends_in_half_a_line(log->path, size);
	audit_log_tick(log);
}

bool audit_log_writable(const struct audit_log *log)
{
	return log->writable;
}

void audit_log_close(struct audit_log *log)
{
	if (!log)
		return;
	audit_log_tick(log);
	if (log->kept.len)
		log_error("%s: %zu bytes of audit lines could not be written", log->path, log->kept.len);
	/* gives back what was reserved and not used */
	if (log->reserved && ftruncate(log->fd, log->size) < 0)
		log_warn("%s: %m", log->path);
	close(log->fd);
	buf_deinit(&log->kept);
	free(log);
}
