// The thread of watchdog.ts: only Node's own modules and types that can be stripped.
import { Session } from 'node:inspector'
import { parentPort, workerData } from 'node:worker_threads'

export interface WatchdogData {
  /** At 0 the number of heartbeats so far, at 1 whether the thread is to end. */
  readonly beats: Int32Array<SharedArrayBuffer>
  /** When the last one was, in nanoseconds of `process.hrtime`, which all threads share. */
  readonly lastBeat: BigInt64Array<SharedArrayBuffer>
  readonly thresholdMs: number
  /** False where frames must not be looked at: a debugger is attached. */
  readonly canPause: boolean
}

/** A frame as the inspector tells it: lines and columns from 0, the file perhaps as a URL. */
export interface RawFrame {
  readonly functionName: string
  readonly url: string
  readonly line: number
  readonly column: number
}

/** What the thread posts when a block is over. */
export interface BlockReport {
  readonly blockedMs: number
  /** Every look at the stack, innermost frame first. */
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

const { beats, lastBeat, thresholdMs, canPause } = workerData as WatchdogData
const MAX_SAMPLES = 20

// A session that waits for the main thread does not keep this one alive by itself.
const keepAlive = setInterval(() => undefined, 2 ** 30)
void watch().finally(() => clearInterval(keepAlive))

/** Ends by itself when it is told to: a thread that is terminated may leave the main one paused. */
function isEnding(): boolean {
  return Atomics.load(beats, 1) !== 0
}

async function watch(): Promise<void> {
  while (!isEnding()) {
    const beat = Atomics.load(beats, 0)
    if (Atomics.wait(beats, 0, beat, thresholdMs) === 'timed-out') await follow(beat)
  }
}

/** The main thread has not come round since this beat: looks at its stack now and then until it does. */
async function follow(beat: number): Promise<void> {
  const since = Atomics.load(lastBeat, 0)
  const isBlocked = (): boolean => Atomics.load(beats, 0) === beat && !isEnding()
  const samples: RawFrame[][] = []
  while (isBlocked()) {
    const frames = canPause && samples.length < MAX_SAMPLES ? await look() : undefined
    // It may have come round by then: what it does now is not to blame.
    if (frames && isBlocked()) samples.push(frames)
    Atomics.wait(beats, 0, beat, thresholdMs)
  }
  const blockedMs = Number(Atomics.load(lastBeat, 0) - since) / 1e6
  parentPort?.postMessage({ blockedMs, samples } satisfies BlockReport)
}

/** Pauses the main thread for the moment it takes to read its frames. */
async function look(): Promise<RawFrame[]> {
  const session = new Session()
  session.connectToMainThread()
  // The frames' own url is deprecated and empty; each script is announced once the debugger is enabled.
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
    // Before the thread waits again: with a session left connected the main thread stays paused for good (Node 24.21).
    session.disconnect()
  }
}

function rawFrame({ functionName, location }: CallFrame, urls: ReadonlyMap<string, string>): RawFrame {
  const { scriptId, lineNumber, columnNumber = 0 } = location
  return { functionName, url: urls.get(scriptId) ?? '', line: lineNumber, column: columnNumber }
}
