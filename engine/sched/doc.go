// Package sched decides what each engine step computes. It is a deterministic machine of
// integers: no clock, no goroutine, no randomness, no tensor. The same calls in the same
// order give the same batches, so it can be simulated and replayed.
//
//	s := sched.New(cfg)
//	err := s.Add(request)         // refused now, or accepted and ended exactly once
//	for b := s.Next(); b != nil; b = s.Next() {
//		... run b ...
//		for _, m := range b.Samples {
//			ended := s.Commit(m.Seq, token, done)
//		}
//	}
//
// A request is N sequences over one prompt. A sequence waits, runs, may be preempted
// (it waits again, keeps what it has generated, and computes it anew as if it were
// prompt) and ends by Commit or Cancel. In the order of one Next:
//
//  1. admit: waiting sequences in the order of priority, then of the tokens already
//     served to their key, then of arrival. The first that does not fit stops admission;
//     nothing overtakes it. To fit, it must leave room for what those that run are
//     expected to take yet, by the length of answers of late: to admit what must be
//     preempted soon only loses time. A sequence of higher priority may preempt lower ones.
//  2. room: each decoding sequence gets the block that its next token needs; where none
//     is left the lowest in rank is preempted. Rank is priority, then arrival.
//  3. plan: one row for each sequence with one token left to compute, then chunks of
//     prompts under the budget: of rows, and of the time that whoever decodes may wait,
//     which the engine foretells and gives as a Price.
//
// Why it always gets on. A sequence that was preempted maxPreemptions times is pinned: it
// is admitted only with its worst case of blocks reserved, and never preempted again. The
// highest in rank of the others can preempt all that are not pinned. So something running
// always has a row, pinned sequences end, and the rest is preempted a bounded number of
// times.
//
// Fairness is the virtual token counter of Sheng et al., "Fairness in Serving Large
// Language Models" (OSDI 2024): each key is charged its prompt tokens when they are
// first admitted and one for each generated token, the least charged key with waiting
// requests goes first, and a key that starts to wait is lifted to the least charged of
// those that wait already, so that idleness saves nothing up. Between two keys that wait
// without a break the charges differ by no more than the larger of the longest prompt
// and what can run at once.
//
// Nothing here is safe for concurrent use: the engine's loop owns it.
package sched
