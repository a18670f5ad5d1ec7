/* SPDX-License-Identifier: MIT */
/*
 * tests/shm/model/life.pml - a request's whole life: submit, doze, wake, complete, progress, cancel,
 * and the death of either side between any two steps
 *
 * One client with its handle, the daemon's data loop with that one lane, the kernel (futexes,
 * io_uring, what a death closes), and a store buffer for each side: Spin's steps are sequentially
 * consistent, so a store that its writer has passed and nobody sees yet is modelled as a message in
 * a queue. A full fence, and a system call, waits until the queue is empty. The weaker orderings
 * (P1 to C3) and the bytes of a slot are tests/shm/model/*.c's part: here a slot is stored in one
 * step.
 *
 * Sleeps end by a wake alone. A bounded sleep ends by its bound in two cases: TIMEOUTS times, at any
 * moment, in the daemon; and in the client once the daemon is dead, since no bell rings for that.
 * So nothing but the discovery of a death leans on a bound.
 *
 * Checked: the only state without a successor is the one in which everything is over (a lost wake
 * leaves another); there is no cycle (a build with -DNP), so that state is reached; the assertions.
 * A step is named after the function that it mirrors. One atomic or d_step reads at most one word of
 * the other side, and stores at most one; only batch_run looks at all cancel words in one step.
 *
 * Left out: the socket as a bell, lanes beside this one, what a lying client writes, wrapped counts.
 *
 * Chosen in the environment, so that one compilation serves all runs: MUTANT leaves out one step
 * (its number below); DEATH is 0 for nobody, 1 for the client, 2 for the daemon; CANCELS is the
 * number of stores into cancel words; TIMEOUTS is said above.
 */

#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef STORES
#define STORES 1            /* in a store buffer */
#endif
#define PLACES (2 * SLOTS)  /* completion slots */
#define ITEMS 2             /* of a stream: a mark each */
#define NOBODY 255

c_decl {
\#include <stdlib.h>
\#define CHOSEN(name) (getenv(name) ? (unsigned char)atoi(getenv(name)) : 0)
};

/* Names of what a mutant leaves out; 0 is the model as it stands. */
#define M_F1 1              /* hearth_sq_doze has no fence */
#define M_F2 2              /* hearth_sq_must_ring has no fence */
#define M_F3 3              /* hearth_cq_doze has no fence */
#define M_F4 4              /* hearth_cq_must_ring has no fence */
#define M_DAEMON_LOOK 5     /* wake_cool does not look once more */
#define M_CLIENT_LOOK 6     /* hearth_wait does not look once more */
#define M_SQ_BELL 7         /* hearth_sq_ring leaves the bell as it is */
#define M_CQ_BELL 8         /* hearth_cq_ring leaves the bell as it is */
#define M_SQ_LATE 9         /* hearth_sq_doze reads the bell after the last look */
#define M_CQ_LATE 10        /* hearth_cq_doze reads the bell after the last look */
#define M_CROSSED 11        /* hearth_cq_must_ring wants the exact position */
#define M_HEAT 12           /* wake_rang does not heat the lane */
#define M_SQ_WAIT 13        /* hearth_sq_doze does not set need_wakeup */
#define M_CREDITS 14        /* the client submits more than it has slots */
#define M_MARK_ROOM 15      /* lane_progress does not wait for the last mark's place */
#define M_JUDGED_TWICE 16   /* finish_infer looks at the cancel word again */
#define M_GENERATION 17     /* hearth_cancel_wanted does not compare generations */
#define M_MARK_IS_FINAL 18  /* hearth_completion_take ends a request at a mark */
#define M_SECOND_TAKE 19    /* hearth_peek_checked does not look again after a death */
#define M_ORPHAN_TWICE 20   /* hearth_orphan_take leaves the record's state */
#define M_BOUND 21          /* the client's sleep has no bound */
#define M_STREAM_DROP 22    /* lane_forget leaves the streams */
#define M_ARMED_CLOSE 23    /* lane_forget does not wait for its futex wait */
#define M_CLOSING 24        /* wake_rang does not ask whether the lane closes */
#define M_STAGED_TWICE 25   /* batch_run keeps the batch that it ran */
#define M_RANG 26           /* hearth_submit does not ring */
#define M_COUNTED_ONCE 27   /* intake_lane does not look at cq_head again when credits seem gone */
#define M_CQ_WAIT 28        /* hearth_cq_doze does not set cq_wait */
#define LEAVES_OUT(m) (mutant == (m)) /* a local of either side: what is local is merged */

/* --- shared memory, the client's segment and the daemon's -------------------------------------- */

byte sq_seq[SLOTS], sq_index[SLOTS]; /* request slots; request r is at position r */
byte cq_head, cq_wait;
byte cancel[SLOTS];                  /* r + 1 stands for r's generation */

byte cq_seq[PLACES], cq_request[PLACES];
bit cq_final[PLACES], cq_ok[PLACES];
byte need_wakeup = 1;                /* lane_publish_header */

/* A bell is a count of 32 bits that its one reader compares with what it read last: all that
 * matters is whether it changed since. */
bit sq_bell_changed, cq_bell_changed;

mtype = { SQ_SLOT, CQ_HEAD, CQ_WAIT, SQ_BELL, CANCEL, CQ_SLOT, NEED_WAKEUP, CQ_BELL };
chan client_stores = [STORES] of { mtype, byte, byte, byte };
chan daemon_stores = [STORES] of { mtype, byte, byte, byte };

/* --- the kernel -------------------------------------------------------------------------------- */

bit client_sleeps;      /* in FUTEX_WAIT on cq_bell */
bit wait_queued;        /* the lane's io_uring futex wait on sq_bell */
bit wait_ended;         /* its completion, not taken yet */
bit close_queued;       /* MESSAGE_LANE_CLOSE, and the eventfd with it */
byte death;             /* who is still to be killed: 1 the client, 2 the daemon */
bit client_killed, daemon_killed, daemon_is_gone;

/* --- what happened, for the assertions ---------------------------------------------------------- */

byte runs[REQUESTS], finals[REQUESTS], answers[REQUESTS];
bit asked[REQUESTS];    /* the client cancelled it, if only for a moment */
byte consumed;

/* --- store buffers ------------------------------------------------------------------------------ */

#define client_store(word, at, value, more) \
	d_step { nfull(client_stores); client_stores!word(at, value, more) }
#define daemon_store(word, at, value, more) \
	d_step { nfull(daemon_stores); assert(!lane_is_unmapped); \
		 daemon_stores!word(at, value, more) }

proctype client_memory()
{
	byte at, value, more;

end_drained:
	do
	:: d_step { client_stores?SQ_SLOT(at, value, more);
		    sq_seq[at] = value; sq_index[at] = more; at = 0; value = 0; more = 0 }
	:: d_step { client_stores?CQ_HEAD(at, value, more); cq_head = value; value = 0 }
	:: d_step { client_stores?CQ_WAIT(at, value, more); cq_wait = value; value = 0 }
	:: d_step { client_stores?SQ_BELL(at, value, more); sq_bell_changed = 1 }
	:: d_step { client_stores?CANCEL(at, value, more);
		    cancel[at] = value; at = 0; value = 0 }
	:: d_step { death == 1; death = 0; client_killed = 1 } /* at any moment */
	od
}

proctype daemon_memory()
{
	byte at, value, more;

end_drained:
	do
	:: d_step { daemon_stores?CQ_SLOT(at, value, more);
		    cq_seq[at] = value; cq_request[at] = more >> 2;
		    cq_final[at] = more & 1; cq_ok[at] = (more >> 1) & 1;
		    at = 0; value = 0; more = 0 }
	:: d_step { daemon_stores?NEED_WAKEUP(at, value, more); need_wakeup = value; value = 0 }
	:: d_step { daemon_stores?CQ_BELL(at, value, more); cq_bell_changed = 1 }
	:: d_step { death == 2; death = 0; daemon_killed = 1 } /* at any moment */
	od
}

#include "client.pml"
#include "daemon.pml"

init {
	byte mutant, cancels, timeouts;

	d_step {
		c_code {
			Pinit->mutant = CHOSEN("MUTANT");
			Pinit->cancels = CHOSEN("CANCELS");
			Pinit->timeouts = CHOSEN("TIMEOUTS");
			now.death = CHOSEN("DEATH");
		}
	};
	atomic {
		run client_memory();
		run daemon_memory();
		run daemon(mutant, timeouts);
		run client(mutant, cancels)
	}
}
