/* SPDX-License-Identifier: MIT */
/* tests/shm/model/client.pml - client/request.h, completion.h and wait.h, for life.pml */

#define NEXT_PLACE (consumed % PLACES)

inline record_end()
{
	answers[r]++;
	assert(answers[r] == 1);
	in_flight--;
	if
	:: holder[0] == r -> index = 0
	:: else -> index = SLOTS - 1
	fi;
	assert(holder[index] == r);
	holder[index] = NOBODY; /* hearth_release: at once, so that the place is used again soon */
	free_slots++;
	index = 0
}

/* hearth_completion_take: hearth_cq_pop, hearth_cq_consume, hearth_completion_read */
inline completion_take()
{
	atomic {
		if
		:: cq_seq[NEXT_PLACE] != consumed + 1 -> found = 0
		:: else ->
			found = 1;
			r = cq_request[NEXT_PLACE];
			is_final = cq_final[NEXT_PLACE];
			assert(!is_final || !cq_ok[NEXT_PLACE] || runs[r] == 1);
			assert(!is_final || cq_ok[NEXT_PLACE] || asked[r]);
			cq_request[NEXT_PLACE] = 0; /* nobody reads it again */
			cq_final[NEXT_PLACE] = 0;
			cq_ok[NEXT_PLACE] = 0;
			consumed++;
			client_store(CQ_HEAD, 0, consumed, 0);
			if
			:: is_final || LEAVES_OUT(M_MARK_IS_FINAL) -> record_end()
			:: else
			fi;
			r = 0;
			is_final = 0
		fi
	}
}

/* hearth_orphan_take: one of those that nobody answered */
inline orphan_take()
{
	d_step {
		if
		:: holder[0] != NOBODY -> r = holder[0]
		:: else -> r = holder[SLOTS - 1]
		fi;
		assert(finals[r] == 0); /* or its result is lost, although it was published */
		record_end();
		if
		:: LEAVES_OUT(M_ORPHAN_TWICE) -> holder[0] = r; in_flight++; free_slots--
		:: else
		fi;
		r = 0
	}
}

/* hearth_submit: hearth_sq_push, hearth_sq_must_ring, hearth_ring */
inline request_submit()
{
	d_step {
		nfull(client_stores);
		if
		:: holder[0] == NOBODY -> index = 0
		:: else -> index = SLOTS - 1
		fi;
		holder[index] = submitted;
		free_slots--;
		in_flight++;
		client_stores!SQ_SLOT(submitted % SLOTS, submitted + 1, index);
		submitted++;
		index = 0
	};
	atomic {
		(empty(client_stores) || LEAVES_OUT(M_F2));
		found = need_wakeup && !LEAVES_OUT(M_RANG);
		if
		:: found && !LEAVES_OUT(M_SQ_BELL) ->
			client_store(SQ_BELL, 0, 0, 0)
		:: else
		fi
	};
	if
	:: found ->
		d_step { /* FUTEX_WAKE */
			empty(client_stores);
			found = 0;
			if
			:: wait_queued -> wait_queued = 0; wait_ended = 1
			:: else
			fi
		}
	:: else
	fi
}

/* hearth_cancel, or a client that takes a cancel back */
inline request_cancel(at)
{
	d_step {
		nfull(client_stores) && holder[at] != NOBODY;
		cancels--;
		if
		:: cancelled[at] == holder[at] + 1 -> cancelled[at] = 0
		:: else -> cancelled[at] = holder[at] + 1; asked[holder[at]] = 1
		fi;
		client_stores!CANCEL(at, cancelled[at], 0)
	}
}

/* hearth_wait: peek, doze, peek, look for a death, sleep; then again */
inline completion_wait()
{
	completion_take();
	do
	:: found -> break
	:: else ->
		atomic { /* hearth_cq_doze */
			cq_bell_changed = 0; /* the bell is read */
			if
			:: LEAVES_OUT(M_CQ_WAIT)
			:: else -> client_store(CQ_WAIT, 0, consumed + 1, 0)
			fi
		};
		atomic {
			(empty(client_stores) || LEAVES_OUT(M_F3));
			if
			:: LEAVES_OUT(M_CLIENT_LOOK)
			:: else -> completion_take()
			fi
		};
		if
		:: found -> break
		:: else
		fi;
		if
		:: LEAVES_OUT(M_CQ_LATE) -> cq_bell_changed = 0
		:: else
		fi;
		if /* hearth_socket_drain: every HEARTH_ALIVE_NS, so surely after a sleep to its bound */
		:: daemon_is_gone ->
			is_dead = 1;
			if
			:: LEAVES_OUT(M_SECOND_TAKE)
			:: else -> completion_take()
			fi;
			if
			:: !found -> orphan_take()
			:: else
			fi;
			break
		:: !is_due
		fi;
		d_step { /* FUTEX_WAIT */
			empty(client_stores);
			if
			:: !cq_bell_changed -> client_sleeps = 1
			:: else
			fi
		};
		if
		:: !client_sleeps
		:: daemon_is_gone && !LEAVES_OUT(M_BOUND) -> client_sleeps = 0; is_due = 1
		fi
	od;
	atomic { /* hearth_cq_awake */
		found = 0;
		client_store(CQ_WAIT, 0, 0, 0)
	}
}

proctype client(byte mutant, cancels)
{
	byte holder[SLOTS] = NOBODY, cancelled[SLOTS];
	byte submitted, free_slots = SLOTS, in_flight, index, r;
	bit found, is_final, is_due, is_dead;

	{
		do
		:: submitted < REQUESTS && !is_dead && (free_slots > 0 || LEAVES_OUT(M_CREDITS)) ->
			request_submit()
		:: cancels > 0 && in_flight > 0 ->
			if
			:: holder[0] != NOBODY -> request_cancel(0)
#if SLOTS > 1
			:: holder[1] != NOBODY -> request_cancel(1)
#endif
			fi
		:: in_flight > 0 -> completion_wait()
		:: (submitted == REQUESTS || is_dead) && in_flight == 0 -> break
		od;
		assert(free_slots == SLOTS);
		d_step {
			for (r : 0 .. REQUESTS - 1) { assert(answers[r] == (r < submitted)) };
			r = 0
		}
	} unless { client_killed };
	/* hearth_close, or the kernel on its behalf; the control thread hears of it */
	d_step { empty(client_stores); client_sleeps = 0; close_queued = 1 }
}
