/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * $STATE/control.sock: one command line per connection, its answer, end. The first word of an answer is `ok` or `error`, but for
 * `ping` (`pong`) and `status` (one JSON object); lines of details may follow.
 */
#ifndef SLAPENIR_CONTROL_H
#define SLAPENIR_CONTROL_H

#include <ev.h>

#include "buf.h"

struct control;

/* fd: a bound stream socket, taken whatever happens. command() appends the answer to reply and returns true, or returns false: it
 * comes later by control_answer_waiting(). line is NUL-terminated. NULL: out of memory. */
struct control *control_new(struct ev_loop *loop, int fd, bool (*command)(void *ctx, const char *line, struct buf *reply),
                            void *ctx);
void control_free(struct control *c);

/* The answer of all that wait for one. */
void control_answer_waiting(struct control *c, struct span reply);

/* The client's side: sends line, prints nothing, appends the answer. -1: nobody answers (errno). */
int control_ask(const char *path, const char *line, struct buf *answer) __attribute__((warn_unused_result));

#endif
