/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What `slapenir VERB` can be. Each has a file verb_VERB.c, gets argv from the verb on, and returns the exit status: 0 done, 1 it
 * failed (the reason is on standard error), 2 it was called wrongly.
 */
#ifndef SLAPENIR_VERBS_H
#define SLAPENIR_VERBS_H

int verb_check(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_env(int argc, char **argv);
int verb_filter(int argc, char **argv);
int verb_init(int argc, char **argv);
int verb_learn(int argc, char **argv);
int verb_lift(int argc, char **argv);
int verb_logs(int argc, char **argv);
int verb_refusals(int argc, char **argv);
int verb_reload(int argc, char **argv);
int verb_render(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_secret(int argc, char **argv);
int verb_spoa(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_suspend(int argc, char **argv);
int verb_why(int argc, char **argv);

#endif
