package sched

import "math"

// queue holds the waiting sequences. Each pair of key and priority is a line, first come
// first served; the lines stand in a heap by priority and then by what their key has
// been served. A key's count changes with every token, which would move its lines each
// time; but counts only grow, so a line may stand by an old count as long as the line at
// the top is brought up to date before it is believed.
type queue struct {
	accounts map[string]*account
	lines    map[lineKey]*line
	order    heap[*line]    // the lines, all of them not empty
	active   heap[*account] // accounts with waiting sequences, for the least count
	resting  heap[*resting] // accounts without live requests that are ahead of floor
	floor    int64          // the least count among active, the last one where none is
	serial   uint64
	len      int // waiting sequences
	adapters perAdapter
}

// account counts the tokens served to a key.
type account struct {
	key     string
	serial  uint64 // order of appearance, which breaks ties
	served  int64
	ranked  int64 // served when it last moved in active
	waiting int   // sequences
	live    int   // requests
	at      int   // in active, while waiting > 0
	rest    *resting
}

// resting is an idle account in the heap of those.
type resting struct {
	*account
	at int
}

type lineKey struct {
	account  *account
	priority int
}

// line is the waiting sequences of one key and priority, linked in rank order.
type line struct {
	lineKey
	first, last *seq
	ranked      int64 // the account's served when the line last moved in order
	at          int
}

func (a *account) place() *int { return &a.at }
func (a *account) before(o *account) bool {
	return a.ranked < o.ranked || a.ranked == o.ranked && a.serial < o.serial
}

func (r *resting) place() *int { return &r.at }
func (r *resting) before(o *resting) bool {
	return r.served < o.served || r.served == o.served && r.serial < o.serial
}

func (l *line) place() *int { return &l.at }
func (l *line) before(o *line) bool {
	if l.priority != o.priority {
		return l.priority < o.priority
	}
	return l.ranked < o.ranked || l.ranked == o.ranked && l.account.serial < o.account.serial
}

func newQueue() queue {
	return queue{accounts: map[string]*account{}, lines: map[lineKey]*line{}}
}

// account returns the key's account, which it opens if there is none.
func (w *queue) account(key string) *account {
	a := w.accounts[key]
	if a == nil {
		w.serial++
		a = &account{key: key, serial: w.serial}
		w.accounts[key] = a
	}
	if a.rest != nil {
		w.resting.remove(a.rest.at)
		a.rest = nil
	}
	return a
}

// leave notes that a request of the account has ended. An account that is left without
// any is forgotten as soon as all that wait have been served as much: from then on its
// return would lift it anyway.
func (w *queue) leave(a *account) {
	if a.live--; a.live > 0 {
		return
	}
	a.rest = &resting{account: a}
	w.resting.push(a.rest)
	if len(w.resting) == len(w.accounts) { // nobody is left to be compared with
		clear(w.accounts)
		w.resting, w.floor = w.resting[:0], 0
	}
	w.forget()
}

func (w *queue) forget() {
	for len(w.resting) > 0 && w.resting[0].served <= w.floor {
		delete(w.accounts, w.resting[0].key)
		w.resting.remove(0)
	}
}

// raise brings floor up to date.
func (w *queue) raise() {
	for len(w.active) > 0 {
		a := w.active[0]
		if a.ranked == a.served {
			w.floor = a.served
			break
		}
		a.ranked = a.served
		w.active.fix(0)
	}
	w.forget()
}

// head returns the sequence to be admitted next, or nil.
func (w *queue) head() *seq {
	for len(w.order) > 0 {
		l := w.order[0]
		if l.ranked == l.account.served {
			return l.first
		}
		l.ranked = l.account.served
		w.order.fix(0)
	}
	return nil
}

// urgent returns the priority of those that wait which goes first; the lowest there is if
// nobody waits.
func (w *queue) urgent() int {
	if len(w.order) == 0 {
		return math.MaxInt
	}
	return w.order[0].priority
}

// push lets q wait in its line, which is in rank order: a new one belongs at the end, a
// preempted one at the head, as within a line the lowest in rank is preempted first; only
// one that was parked may belong between others.
func (w *queue) push(q *seq) {
	l := w.lineOf(q)
	if l.last == nil || l.last.before(q) {
		l.append(q)
	} else {
		l.insert(q)
	}
	if l.first == l.last {
		l.ranked = l.account.served
		w.order.push(l)
	}
	w.len++
	w.adapters.add(q, 1)
}

// lineOf returns the line that q is to wait in and counts it in.
func (w *queue) lineOf(q *seq) *line {
	a := q.req.account
	if a.waiting == 0 {
		w.raise()
		a.served = max(a.served, w.floor)
		a.ranked = a.served
		w.active.push(a)
	}
	a.waiting++
	k := lineKey{a, q.req.Priority}
	l := w.lines[k]
	if l == nil {
		l = &line{lineKey: k}
		w.lines[k] = l
	}
	return l
}

// remove takes q out of its line.
func (w *queue) remove(q *seq) {
	l := q.line
	l.unlink(q)
	w.len--
	w.adapters.add(q, -1)
	if l.first == nil {
		w.order.remove(l.at)
		delete(w.lines, l.lineKey)
	}
	a := l.account
	if a.waiting--; a.waiting == 0 {
		w.raise()
		w.active.remove(a.at)
		if len(w.active) == 0 {
			w.floor = a.served
		}
	}
}

func (l *line) append(q *seq) {
	q.line, q.prev = l, l.last
	if l.last == nil {
		l.first = q
	} else {
		l.last.next = q
	}
	l.last = q
}

// insert links q before the first that it goes before; there is one.
func (l *line) insert(q *seq) {
	next := l.first
	for next.before(q) {
		next = next.next
	}
	q.line, q.prev, q.next = l, next.prev, next
	if next.prev == nil {
		l.first = q
	} else {
		next.prev.next = q
	}
	next.prev = q
}

func (l *line) unlink(q *seq) {
	if q.prev == nil {
		l.first = q.next
	} else {
		q.prev.next = q.next
	}
	if q.next == nil {
		l.last = q.prev
	} else {
		q.next.prev = q.prev
	}
	q.line, q.prev, q.next = nil, nil, nil
}
