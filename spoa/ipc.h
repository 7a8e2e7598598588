/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Between the master and a worker: one SOCK_SEQPACKET pair each, whole messages, the first byte says what.
 */
#ifndef SLAPENIR_IPC_H
#define SLAPENIR_IPC_H

#include <stdint.h>

enum ipc_message {
	/* worker to master */
	IPC_HEARTBEAT = 'h', /* struct ipc_figures */
	IPC_EVENTS = 'e',    /* { u16 length, audit event }* of one exchange */
	/* master to worker */
	IPC_SUSPEND = 's', /* CN */
	IPC_LIFT = 'l',    /* CN */
	IPC_AUDIT = 'a',   /* u8: can the audit log be written? */
	IPC_DRAIN = 'd',
};

enum {
	IPC_MESSAGE_MAX = 64 * 1024,
	IPC_BUFFER = 1024 * 1024, /* asked of the kernel for each direction */
	HEARTBEAT_MS = 200,
	SILENCE_MS = 1000,        /* then the worker is killed */
};

struct ipc_figures {
	uint32_t connections;
	uint64_t frames, dropped, errors;
};

#endif
