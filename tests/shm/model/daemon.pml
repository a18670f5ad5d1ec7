/* SPDX-License-Identifier: MIT */
/* tests/shm/model/daemon.pml - daemon/serve/data.c, wake.c, intake.c, lane.c, batcher.c, stream.c and
 * finish.c, for life.pml */

#define LANE_HAS_WORK (sq_seq[sq_position % SLOTS] == sq_position + 1)
#define STAGED 1
#define STREAMING 2
#define WANTED(at) (cancel[at] == request[at] + 1 || \
		    LEAVES_OUT(M_GENERATION) && cancel[at] != 0) /* hearth_cancel_wanted */

/* wake_heat: hearth_sq_awake */
inline lane_heat()
{
	if
	:: is_cold -> is_cold = 0; daemon_store(NEED_WAKEUP, 0, 0, 0)
	:: else
	fi
}

inline lane_closed()
{
	d_step {
		assert(!lane_is_unmapped); /* its lease is returned once */
		assert(!wait_queued);      /* the wait's word is in the map */
		lane_is_unmapped = 1
	}
}

/* wake_rang, from completions_take */
inline lane_rang()
{
	wait_ended = 0;
	is_armed = 0;
	if
	:: is_closing && !LEAVES_OUT(M_CLOSING) -> lane_closed()
	:: else ->
		assert(!lane_is_unmapped);
		if
		:: LEAVES_OUT(M_HEAT)
		:: else -> lane_heat()
		fi
	fi
}

/* lane_forget: stream_drop, and the armed wait is cancelled */
inline lane_forget()
{
	d_step {
		close_queued = 0;
		is_closing = 1;
		is_cold = 1;
		for (at : 0 .. SLOTS - 1) {
			assert(state[at] != STAGED); /* a batch ends in the pass that began it */
			if
			:: LEAVES_OUT(M_STREAM_DROP)
			:: else -> state[at] = 0; streams = 0
			fi
		};
		at = 0
	};
	if
	:: is_armed && !LEAVES_OUT(M_ARMED_CLOSE) ->
		d_step {
			if
			:: wait_queued -> wait_queued = 0; wait_ended = 1
			:: else
			fi
		}
	:: else -> lane_closed()
	fi
}

/* lane_consumed: hearth_cq_consumed */
inline consumed_look()
{
	d_step {
		head = cq_head;
		assert(lane_head <= head && head <= cq_position); /* LANE_E_LYING */
		do
		:: lane_head < head ->
			if
			:: kinds[lane_head % PLACES] -> outstanding--; kinds[lane_head % PLACES] = 0
			:: else
			fi;
			lane_head++
		:: else -> break
		od;
		head = 0
	}
}

/* intake_lane: hearth_sq_pop, then batcher_join or stream_admit */
inline lane_intake()
{
	assert(!lane_is_unmapped);
	consumed_look();
	do
	:: LANE_HAS_WORK ->
		if
		:: outstanding == SLOTS && !LEAVES_OUT(M_COUNTED_ONCE) -> consumed_look()
		:: else
		fi;
		atomic {
			at = sq_index[sq_position % SLOTS];
			assert(outstanding < SLOTS); /* or a client that lies */
			assert(state[at] == 0);      /* slot_is_sane */
			request[at] = sq_position;
			sq_position++;
			outstanding++;
			has_worked = 1;
			if
			:: state[at] = STAGED; staged++
			:: state[at] = STREAMING; streams++; items[at] = 0; progress[at] = 0
			fi;
			at = 0
		}
	:: else -> break
	od
}

/* lane_publish: hearth_cq_push. Two positions are never in one place. */
inline publish(at, final, ok)
{
	d_step {
		nfull(daemon_stores);
		assert(!lane_is_unmapped);
		assert(cq_position - consumed < PLACES);
		kinds[cq_position % PLACES] = final;
		daemon_stores!CQ_SLOT(cq_position % PLACES, cq_position + 1,
				      request[at] << 2 | ok << 1 | final);
		cq_position++;
		is_touched = 1;
		if
		:: final ->
			finals[request[at]]++;
			assert(finals[request[at]] == 1);
			if
			:: LEAVES_OUT(M_STAGED_TWICE) && state[at] == STAGED
			:: state[at] == STREAMING ->
				state[at] = 0; streams--; items[at] = 0; progress[at] = 0;
			:: else -> state[at] = 0; staged--
			fi
		:: else -> progress[at] = cq_position
		fi
	}
}

/* batch_run: judged once, run, finish_infer */
inline batch_run()
{
	d_step {
		is_wanted = 0;
		for (at : 0 .. SLOTS - 1) {
			verdict[at] = state[at] == STAGED && !WANTED(at);
			is_wanted = is_wanted || verdict[at]
		};
		for (at : 0 .. SLOTS - 1) { /* engine_run: all rows of the batch */
			if
			:: is_wanted && state[at] == STAGED ->
				runs[request[at]]++;
				assert(runs[request[at]] == 1)
			:: else
			fi
		};
		at = 0;
		is_wanted = 0
	};
	do
	:: at < SLOTS ->
		atomic {
			if
			:: state[at] == STAGED ->
				if
				:: LEAVES_OUT(M_JUDGED_TWICE) -> verdict[at] = !WANTED(at)
				:: else
				fi;
				publish(at, 1, verdict[at]);
				verdict[at] = 0
			:: else
			fi;
			at++
		}
	:: else -> break
	od;
	at = 0;
	clients_wake()
}

/* stream_step: an item a pass; lane_progress when the last mark was consumed */
inline stream_step_all()
{
	do
	:: at < SLOTS ->
		atomic {
			if
			:: state[at] == STREAMING ->
				has_worked = 1;
				assert(!lane_is_unmapped);
				if
				:: WANTED(at) -> publish(at, 1, 0)
				:: else ->
					if
					:: items[at] == ITEMS ->
						runs[request[at]]++;
						publish(at, 1, 1)
					:: else ->
						items[at]++;
						if
						:: progress[at] <= lane_head ||
						   LEAVES_OUT(M_MARK_ROOM) -> publish(at, 0, 1)
						:: else
						fi
					fi
				fi
			:: else
			fi;
			at++
		}
	:: else -> break
	od;
	at = 0
}

/* wake_clients: lane_ring_client, hearth_cq_must_ring, hearth_cq_ring */
inline clients_wake()
{
	if
	:: is_touched && !is_closing ->
		atomic {
			(empty(daemon_stores) || LEAVES_OUT(M_F4));
			assert(!lane_is_unmapped);
			is_wanted = rung < cq_wait && cq_wait <= cq_position;
			if
			:: LEAVES_OUT(M_CROSSED) -> is_wanted = cq_wait == cq_position
			:: else
			fi;
			rung = cq_position;
			is_touched = 0;
			if
			:: is_wanted && !LEAVES_OUT(M_CQ_BELL) ->
				daemon_store(CQ_BELL, 0, 0, 0)
			:: else
			fi
		};
		if
		:: is_wanted -> /* FUTEX_WAKE */
			d_step { empty(daemon_stores); client_sleeps = 0; is_wanted = 0 }
		:: else
		fi
	:: else -> is_touched = 0
	fi
}

/* wake_cool: hearth_sq_doze, the last look, lane_arm */
inline lane_cool()
{
	atomic {
		sq_bell_changed = 0; /* the bell is read */
		if
		:: LEAVES_OUT(M_SQ_WAIT)
		:: else -> daemon_store(NEED_WAKEUP, 0, 1, 0)
		fi
	};
	atomic {
		(empty(daemon_stores) || LEAVES_OUT(M_F1));
		if
		:: LANE_HAS_WORK && !LEAVES_OUT(M_DAEMON_LOOK) ->
			daemon_store(NEED_WAKEUP, 0, 0, 0)
		:: else -> is_cold = 1
		fi
	};
	if
	:: is_cold && LEAVES_OUT(M_SQ_LATE) -> sq_bell_changed = 0
	:: else
	fi;
	if /* IORING_OP_FUTEX_WAIT, submitted with the sleep below */
	:: is_cold && !is_armed ->
		d_step {
			empty(daemon_stores);
			is_armed = 1;
			if
			:: !sq_bell_changed -> wait_queued = 1
			:: else -> wait_ended = 1
			fi
		}
	:: else
	fi
}

proctype daemon(byte mutant, timeouts)
{
	byte request[SLOTS], state[SLOTS], items[SLOTS], progress[SLOTS];
	bit verdict[SLOTS], kinds[PLACES];
	byte staged, streams, sq_position, cq_position, lane_head, rung, outstanding, at, head;
	bit is_armed, is_closing, is_touched, has_worked, is_wanted;
	bit is_cold = 1, lane_is_unmapped;

	{
		lane_heat(); /* lane_enter */
		do
		:: atomic {
				has_worked = 0;
				if
				:: wait_ended -> lane_rang()
				:: else
				fi
			};
			atomic {
				if
				:: close_queued -> lane_forget()
				:: else
				fi
			};
			if
			:: !is_cold -> lane_intake()
			:: else
			fi;
			if
			:: staged > 0 -> batch_run()
			:: else
			fi;
			if
			:: streams > 0 -> stream_step_all()
			:: else
			fi;
			clients_wake();
			if
			:: has_worked
			:: else ->
				if
				:: !is_cold -> lane_cool()
				:: else
				fi;
				if /* sleep_until_rung */
				:: !is_cold
				:: is_cold && wait_ended
				:: is_cold && close_queued
				:: is_cold && timeouts > 0 && !is_closing -> /* wake_recheck */
					timeouts--;
					if
					:: LANE_HAS_WORK -> lane_heat()
					:: else
					fi
				:: lane_is_unmapped -> break
				fi
			fi
		od;
lane_is_over:
		assert(!is_armed && !wait_queued);
		d_step {
			for (at : 0 .. SLOTS - 1) { assert(state[at] == 0) }
		}
	} unless { daemon_killed };
	d_step { empty(daemon_stores); daemon_is_gone = 1; wait_queued = 0 }
}
