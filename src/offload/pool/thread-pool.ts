import { isDeepStrictEqual } from 'node:util'
import { headline } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { onAbort } from '../../signals/on-abort.ts'
import { formatMs } from '../../time/duration.ts'
import { CallTimer } from './call-timer.ts'
import { reviveError } from '../error-transfer.ts'
import { type CallOptions, OffloadCall, type WantedCall } from './offload-call.ts'
import type { FailureReason, PoolFigures } from './pool-figures.ts'
import type { PoolOptions } from './pool-options.ts'
import { isThreadMessage, type OffloadReply, type Progress, type StreamEnd } from '../protocol.ts'
import { loadThreads, Thread, threadsAreLoaded } from './thread.ts'
import { MemoryWatch } from './memory-watch.ts'
import { callError, callTitle, failureOf, neverBegan, threadError, warn } from './thread-error.ts'
import { unsendable } from '../unsendable.ts'
import { WaitingCalls } from './waiting-calls.ts'
import { free, isHeldUp, isInnocent, type Work } from './work.ts'

/** How long the `finally` of a generator may take when the reader of its stream has stopped. */
const MAX_ENDING_MS = 1_000
/** How long a call may leave work running in its thread before the thread is ended. Until then, the thread takes no other call. */
const MAX_LEFTOVER_MS = 250
const TIMERS = ['Timeout', 'Immediate']
/** A thread that is waiting for its caller does not count as running. For each running thread, this many waiting ones may exist. */
const MAX_WAITING_PER_THREAD = 4

/**
 * The threads of a pool, with a queue of calls.
 *
 * A call first *waits*, then *runs* (one per thread), and finally has *ended*. A waiting call costs only an entry in a set: its arguments
 * are copied, or its buffers handed over, when a thread takes it. Threads start on demand and end after an idle time. While a thread is
 * waiting for its caller, such as for the reader of its stream, another one may run. After `close`, the pool accepts no further call.
 */
export class ThreadPool {
  readonly figures: PoolFigures
  readonly #options: PoolOptions
  readonly #waiting = new WaitingCalls<OffloadCall>()
  readonly #working = new Map<OffloadCall, Work>()
  readonly #idle: Thread[] = []
  /** Threads with unfinished work of an earlier call. */
  readonly #unclean = new Map<Thread, NodeJS.Timeout>()
  readonly #runningOf = new Map<string, number>()
  #closing = false
  #loading: Promise<void> | undefined
  readonly #memory: MemoryWatch

  constructor(options: PoolOptions, figures: PoolFigures) {
    this.#options = options
    this.figures = figures
    this.#memory = new MemoryWatch(
      options.memoryBytes,
      () => [...this.#working.values()],
      (work, error) => (isHeldUp(work) ? free(work) : this.#end(work.call, error, 'memory')),
    )
  }

  get running(): number {
    return this.#working.size
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** How many threads exist. */
  get threads(): number {
    return this.#working.size + this.#idle.length + this.#unclean.size
  }

  /**
   * Adds a call to the queue. Its result rejects with `STOPPED` if the pool is closing, with the error of the function or of its thread, or
   * with the reason of the signal when it aborts. An abort removes a waiting call from the queue, and ends the thread of a running one.
   */
  add(wanted: WantedCall, options: CallOptions, signal: AbortSignal | undefined): OffloadCall {
    const call = new OffloadCall(wanted, options)
    if (this.#closing)
      this.#refuse(call, new PikoError('STOPPED', `${wanted.name}() was called while the app is stopping its threads`))
    else if (signal?.aborted) this.#refuse(call, signal.reason)
    else {
      if (signal) void call.over.then(onAbort(signal, () => this.#end(call, signal.reason, 'cancelled')))
      this.#waiting.add(call)
      this.#dispatch()
    }
    return call
  }

  /**
   * Waits for the waiting and running calls, then ends the threads.
   *
   * @param signal aborting it ends these calls immediately; they reject with its reason
   */
  async close(signal?: AbortSignal): Promise<void> {
    this.#closing = true
    const calls = [...this.#waiting.all(), ...this.#working.keys()]
    const endAll = (): void => calls.forEach((call) => this.#end(call, signal?.reason, 'cancelled'))
    const forget = signal && onAbort(signal, endAll)
    if (signal?.aborted) endAll()
    await Promise.all(calls.map((call) => call.over))
    forget?.()
    this.#memory.stop()
    for (const timer of this.#unclean.values()) clearTimeout(timer)
    await Promise.all([...this.#idle.splice(0), ...this.#unclean.keys()].map((thread) => thread.end()))
    this.#unclean.clear()
  }

  #refuse(call: OffloadCall, reason: unknown): void {
    call.end(reason)
    call.markOver()
  }

  #dispatch(): void {
    if (this.#waiting.size === 0) return
    if (!threadsAreLoaded()) return this.#load()
    for (let call = this.#next(); call !== undefined; call = this.#next())
      void this.#run(call, this.#idle.pop() ?? this.#newThread())
  }

  #load(): void {
    this.#loading ??= loadThreads().then(
      () => this.#dispatch(),
      (error: unknown) => [...this.#waiting.all()].forEach((call) => this.#end(call, error, 'crashed')),
    )
  }

  /** Returns the next call that may start now. */
  #next(): OffloadCall | undefined {
    const { size, share } = this.#options
    const held = this.#working.size + this.#unclean.size
    if (held >= size && held - this.#pausedCalls() >= size) return undefined
    if (held >= size * (1 + MAX_WAITING_PER_THREAD)) {
      // A thread may wait for another call of its own run. So further calls of the runs that hold threads must still begin.
      const owners = new Set([...this.#working.keys()].map(({ options }) => options.scope))
      return this.#waiting.takeFitting(({ options }) => owners.has(options.scope))
    }
    const perJob = Math.max(1, Math.floor(size * share))
    const running = (job: string): number => this.#runningOf.get(job) ?? 0
    return this.#waiting.take(running, (job) => share === 1 || job === '' || running(job) < perJob)
  }

  #pausedCalls(): number {
    let paused = 0
    for (const call of this.#working.keys()) if (call.isWaiting) paused++
    return paused
  }

  #newThread(): Thread {
    return new Thread(this.#options, {
      message: (thread, message) => this.#heard(thread, message),
      gone: (thread, error) => this.#gone(thread, error),
    })
  }

  async #run(call: OffloadCall, thread: Thread): Promise<void> {
    const timer = new CallTimer(this.#limitOf(call), () => this.#timedOut(call))
    const work: Work = { call, thread, timer, readyAt: undefined, isFreed: false, ending: undefined }
    this.#working.set(call, work)
    this.#count(call, 1)
    this.#memory.start()
    try {
      const { task, transfer } = call.begin({
        waiting: () => this.#waitsOrNot(work),
        stopped: () => this.#endSoon(work, () => call.finishReading()),
      })
      const reply = await thread.run(task, transfer, () => this.#begun(work))
      this.#replied(work, reply)
    } catch (error) {
      if (isInnocent(work) && call.isRepeatable) return this.#repeat(work)
      this.#failed(work, error)
    }
    this.#over(work)
  }

  /** Runs a call in a new thread, because its first thread ended before it began the call. */
  #repeat(work: Work): void {
    const { call, thread } = work
    warn(
      `work that ${thread.previous} left behind ended or blocked its thread; ${callTitle(call.wanted)} runs in another`,
    )
    this.#leave(work)
    void this.#run(call, this.#newThread())
  }

  /** Returns the time limit of a call. A batch has none of its own, because its caller checks the time limit of each item. */
  #limitOf({ options, wanted }: OffloadCall): number | undefined {
    return options.timeoutMs ?? (wanted.batch === undefined ? this.#options.timeoutMs : undefined)
  }

  #begun(work: Work): void {
    work.readyAt = performance.now()
    this.figures.waits.add(work.readyAt - work.call.madeAt)
    work.timer.start()
  }

  #waitsOrNot(work: Work): void {
    const { call, timer, readyAt } = work
    // After the thread's reply, a stream's reader may still read. A timer that starts then would keep the process alive.
    if (this.#working.get(call) !== work) return
    if (call.isWaiting) timer.halt()
    else if (readyAt !== undefined) timer.start()
    this.#dispatch()
  }

  #replied({ call, thread }: Work, reply: OffloadReply): void {
    thread.previous = callTitle(call.wanted)
    if (reply.progress) this.#report(call, reply.progress)
    if (!reply.ok && call.endedBy === undefined) this.figures.failed('error')
    call.complete(reply)
    const { recycle } = this.#options
    if (thread.calls >= recycle.calls || reply.usedBytes > recycle.memoryBytes) {
      this.figures.recycled++
      void thread.end()
    } else if (reply.left) this.#keepOut(thread, call, reply.left)
    else this.#idle.push(thread)
  }

  #failed(work: Work, error: unknown): void {
    const { call, thread } = work
    if (call.endedBy !== undefined) return
    if (isInnocent(work)) {
      this.figures.failed('crashed')
      call.fail(neverBegan(call.wanted, thread.previous ?? '', error))
    } else if (thread.isAlive) {
      this.figures.failed('copy')
      call.fail(unsendable(`an argument of ${callTitle(call.wanted)}`, 'args', call.wanted.args, error))
      this.#idle.push(thread)
    } else {
      const failure = threadError(call.wanted, error)
      this.figures.failed(failureOf(failure))
      call.fail(failure)
    }
  }

  #over(work: Work): void {
    this.#leave(work)
    if (work.readyAt !== undefined) this.figures.runs.add(performance.now() - work.readyAt)
    work.call.markOver()
    this.#dispatch()
  }

  #leave({ call, timer, ending }: Work): void {
    this.#working.delete(call)
    this.#count(call, -1)
    timer.halt()
    clearTimeout(ending)
  }

  #count({ job }: OffloadCall, change: number): void {
    const count = (this.#runningOf.get(job) ?? 0) + change
    if (count > 0) this.#runningOf.set(job, count)
    else this.#runningOf.delete(job)
  }

  /** Ends a call that is waiting or running. If a generator was cancelled, its thread gets a short time for its `finally`. */
  #end(call: OffloadCall, reason: unknown, why: FailureReason): void {
    const work = this.#working.get(call)
    const isWaiting = this.#waiting.delete(call)
    if ((!work && !isWaiting) || call.endedBy !== undefined) return
    call.endedBy = why
    this.figures.failed(why)
    call.end(reason)
    if (!work) call.markOver()
    else if (why === 'cancelled' && call.isStream) this.#endSoon(work, () => {})
    else void work.thread.end()
  }

  #endSoon(work: Work, whenForced: () => void): void {
    const { call, thread } = work
    work.ending ??= setTimeout(() => {
      warn(`${callTitle(call.wanted)} did not end within ${MAX_ENDING_MS} ms, so its thread was ended`)
      call.endedBy ??= 'cancelled'
      whenForced()
      void thread.end()
    }, MAX_ENDING_MS)
  }

  #timedOut(call: OffloadCall): void {
    const work = this.#working.get(call)
    if (work && isHeldUp(work)) return free(work)
    const { wanted } = call
    const limit = formatMs(this.#limitOf(call) ?? 0)
    const message = `${callTitle(wanted)} ran longer than its timeout of ${limit}, so its thread was ended`
    this.#end(call, callError('OFFLOAD_TIMEOUT', wanted, message), 'timeout')
  }

  /** Handles a message from a thread. @param message sent by Piko's code in the thread, or by the user's module */
  #heard(thread: Thread, message: unknown): void {
    if (!isThreadMessage(message)) return
    if (message.piko === 'clean') return this.#clean(thread)
    const work = [...this.#working.values()].find(({ call }) => call.id === message.id)
    if (work === undefined) return
    if (message.piko === 'stream') this.#openStream(work.call, message)
    else if (message.piko === 'progress') this.#report(work.call, message.progress)
    else this.#end(work.call, reviveError(message.error), 'copy')
  }

  #openStream(call: OffloadCall, end: StreamEnd): void {
    call.openStream(end, (progress) => this.#report(call, progress))
    const { scope } = call.options
    if (scope === undefined) return
    const reason = (): PikoError =>
      new PikoError('STOPPED', `the run that opened the stream of ${callTitle(call.wanted)} has ended`)
    void call.over.then(scope.atEnd(() => this.#end(call, reason(), 'cancelled')))
  }

  #report(call: OffloadCall, progress: Progress): void {
    if (isDeepStrictEqual(progress, call.progress)) return
    call.progress = progress
    try {
      call.options.scope?.run.progress?.(...progress)
    } catch (error) {
      warn(`the progress of an offloaded call could not be reported: ${headline(error)}`)
    }
  }

  /** Gives a thread no other call while it has unfinished work. That work may throw, loop or exit, and the other call would then fail. */
  #keepOut(thread: Thread, { wanted }: OffloadCall, left: readonly string[]): void {
    const timer = setTimeout(() => {
      // Only timers are reported as a fault. Other work may be useful: a loader may write its cache, or a module its log.
      if (!left.some((type) => TIMERS.includes(type))) return this.#clean(thread)
      this.#unclean.delete(thread)
      void thread.end()
      warn(
        `${callTitle(wanted)} left work behind after its end (${left.join(', ')}), so its thread was ended; ` +
          'end this work before the function returns, or unref() it',
      )
      this.#dispatch()
    }, MAX_LEFTOVER_MS)
    this.#unclean.set(thread, timer)
  }

  #clean(thread: Thread): void {
    const timer = this.#unclean.get(thread)
    if (timer === undefined) return
    clearTimeout(timer)
    this.#unclean.delete(thread)
    if (this.#closing) void thread.end()
    else this.#idle.push(thread)
    this.#dispatch()
  }

  /** Removes a thread that ended without a call: after its idle time, or because of an error in work that an earlier call left running. */
  #gone(thread: Thread, error: unknown): void {
    clearTimeout(this.#unclean.get(thread))
    this.#unclean.delete(thread)
    const index = this.#idle.indexOf(thread)
    if (index !== -1) this.#idle.splice(index, 1)
    if (error !== undefined) warn(`an idle offload thread ended: ${headline(error)}`)
    this.#dispatch()
  }
}
