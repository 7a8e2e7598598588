/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"

static struct sandbox_user user_named(const char *name)
{
	struct sandbox_user user = {(uid_t)-1, (gid_t)-1};
	const struct passwd *pw = geteuid() == 0 ? getpwnam(name) : NULL;

	if (pw) {
		user.uid = pw->pw_uid;
		user.gid = pw->pw_gid;
	}
	return user;
}

struct sandbox_user sandbox_worker_user(void)
{
	struct sandbox_user user = user_named("slapenir");

	return user.uid != (uid_t)-1 ? user : user_named("nobody");
}

struct sandbox_user sandbox_haproxy_user(void)
{
	return user_named("haproxy");
}

static const int allowed[] = {
	/* sockets that are there, and new ones from the listeners */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	SCMP_SYS(accept4), SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt),
	/* the event loop */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(clock_nanosleep),
	/* memory; mmap and mprotect below, without PROT_EXEC */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(futex),
	/* OpenSSL's random numbers, and its check whether we have forked */
	SCMP_SYS(getrandom), SCMP_SYS(getpid),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* abort(), so that a failed assertion is seen as one; tgkill below, of itself only */
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(gettid),
};

static int seccomp_enter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	errno = -rc;
	return rc ? -1 : 0;
}

static int become(struct sandbox_user user)
{
	if (user.uid == (uid_t)-1)
		return geteuid() == 0 ? -1 : 0; /* root without anybody to become: no */
	return setgroups(0, NULL) < 0 || setresgid(user.gid, user.gid, user.gid) < 0 ||
	       setresuid(user.uid, user.uid, user.uid) < 0 ? -1 : 0;
}

int sandbox_enter(struct sandbox_user user, pid_t parent)
{
	struct rlimit none = {0, 0}, lock;

	/* bytes in flight lie in ordinary buffers: lock them too where the limit allows it */
	if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur == RLIM_INFINITY)
		mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		log_error("cannot restrict the worker: %m");
		return -1;
	}
	if (become(user) < 0) {
		log_error("cannot become the worker's user (make a user `slapenir`): %m");
		return -1;
	}
	/* after the change of user, which resets both; the parent may have gone before it counted */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent) {
		log_error("cannot restrict the worker: %m");
		return -1;
	}
	if (seccomp_enter() < 0) {
		log_error("seccomp: %m");
		return -1;
	}
	return 0;
}
