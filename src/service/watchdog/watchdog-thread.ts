// Runs in the guard thread, started by watchdog.ts. In the source tree, Node itself strips the types, so this file imports only modules
// for which that works.
import { Session } from 'node:inspector'
import type { MessagePort } from 'node:worker_threads'
import { isMainThreadStarved } from './processor-time.ts'

export interface WatchdogData {
  /** Index 0: how many heartbeats there were. Index 1: not 0 if the watch must end. */
  readonly beats: Int32Array<SharedArrayBuffer>
  /**
   * Index 0: the time of the last heartbeat, in nanoseconds of `process.hrtime`, which all threads share. Index 1: how long the main thread
   * waited for a processor since the previous heartbeat, in nanoseconds; below 0 if that is unknown. Index 2: how long it had been on a
   * processor at the last heartbeat, in nanoseconds since it began; below 0 if that is unknown.
   */
  readonly lastBeat: BigInt64Array<SharedArrayBuffer>
  readonly thresholdMs: number
  /**
   * Whether the main thread may be paused. False if a debugger is attached, inside a thread, or if the process may not use the inspector.
   */
  readonly canPause: boolean
}

/** A frame as the inspector reports it. Lines and columns start at 0, and the file may be a URL. */
export interface RawFrame {
  readonly functionName: string
  readonly url: string
  readonly line: number
  readonly column: number
}

/** The message that the thread posts after a block. */
export interface BlockReport {
  readonly blockedMs: number
  /** How much of this time the main thread only waited for a processor, because the machine was busy. */
  readonly starvedMs: number
  /** All samples of the stack. The innermost frame is the first. */
  readonly samples: readonly (readonly RawFrame[])[]
}

interface CallFrame {
  readonly functionName: string
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number }
}

interface Paused {
  readonly params: { readonly callFrames: readonly CallFrame[] }
}

interface ScriptParsed {
  readonly params: { readonly scriptId: string; readonly url: string }
}

const MAX_SAMPLES = 20

/** Watches the main thread until it is told to end, and then closes the port. The watch never ends while the main thread is paused. */
export function guard(port: MessagePort, data: WatchdogData): void {
  void new Watch(data, (report) => port.postMessage(report)).run().finally(() => port.close())
}

class Watch {
  readonly #data: WatchdogData
  readonly #report: (report: BlockReport) => void

  constructor(data: WatchdogData, report: (report: BlockReport) => void) {
    this.#data = data
    this.#report = report
  }

  async run(): Promise<void> {
    while (!this.#isEnding) {
      const beat = Atomics.load(this.#data.beats, 0)
      if (await this.#isMissing(beat)) await this.#follow(beat)
    }
  }

  get #isEnding(): boolean {
    return Atomics.load(this.#data.beats, 1) !== 0
  }

  /** Whether the main thread has mostly waited for a processor since the last heartbeat, and still does. */
  get #isStarved(): boolean {
    const ran = Atomics.load(this.#data.lastBeat, 2)
    return ran >= 0n && isMainThreadStarved(ran, this.#data.thresholdMs / 2)
  }

  /** Waits for the heartbeat after this one. @returns true if it did not come within the threshold */
  async #isMissing(beat: number): Promise<boolean> {
    return (await Atomics.waitAsync(this.#data.beats, 0, beat, this.#data.thresholdMs).value) === 'timed-out'
  }

  /** Follows a block: the main thread has sent no heartbeat since `beat`. Samples its stack from time to time until the next heartbeat. */
  async #follow(beat: number): Promise<void> {
    const { beats, lastBeat, thresholdMs, canPause } = this.#data
    const since = Atomics.load(lastBeat, 0)
    const isBlocked = (): boolean => Atomics.load(beats, 0) === beat && !this.#isEnding
    const samples: RawFrame[][] = []
    let lateMs = 0
    while (isBlocked()) {
      // A sample takes several milliseconds of the main thread: many of them would look like a block while it hardly gets a processor.
      const frames = canPause && samples.length < MAX_SAMPLES && !this.#isStarved ? await look() : undefined
      // The block may have ended while the sample was taken; then this stack is not its cause.
      if (frames && isBlocked()) samples.push(frames)
      const begin = performance.now()
      if (await this.#isMissing(beat)) lateMs += performance.now() - begin - thresholdMs
    }
    const blockedMs = Number(Atomics.load(lastBeat, 0) - since) / 1e6
    const waited = Atomics.load(lastBeat, 1)
    // If the system does not count the wait, the delay of this thread is used as an estimate. This thread does almost nothing, so it is
    // late only if it had no processor either.
    const starvedMs = waited < 0n ? lateMs : Number(waited) / 1e6
    this.#report({ blockedMs, starvedMs, samples })
  }
}

/** Pauses the main thread only as long as necessary to read its frames. */
async function look(): Promise<RawFrame[]> {
  const session = new Session()
  session.connectToMainThread()
  // The `url` of a frame is deprecated and empty. So the URLs come from the events that the enabled debugger sends for each script.
  const urls = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params }: ScriptParsed) => urls.set(params.scriptId, params.url))
  try {
    return await new Promise((resolve) => {
      session.once('Debugger.paused', ({ params }: Paused) => {
        session.post('Debugger.resume')
        resolve(params.callFrames.map((frame) => rawFrame(frame, urls)))
      })
      session.post('Debugger.enable')
      session.post('Debugger.pause')
    })
  } finally {
    // The session disconnects before the thread waits again. A connected session would leave the main thread paused forever (Node 24.21).
    session.disconnect()
  }
}

function rawFrame({ functionName, location }: CallFrame, urls: ReadonlyMap<string, string>): RawFrame {
  const { scriptId, lineNumber, columnNumber = 0 } = location
  return { functionName, url: urls.get(scriptId) ?? '', line: lineNumber, column: columnNumber }
}
