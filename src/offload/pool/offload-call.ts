import { MessageChannel, type MessagePort, type Transferable } from 'node:worker_threads'
import { ChunkReader } from '../streams/chunk-reader.ts'
import { ChunkWriter } from '../streams/chunk-writer.ts'
import { reviveError } from '../error-transfer.ts'
import { isOffloadFile } from '../file.ts'
import { isStream, type ItemSource, itemSource } from '../streams/item-source.ts'
import type { FailureReason } from './pool-figures.ts'
import type { BatchTask, OffloadReply, OffloadTask, Progress, SourceArgument, StreamEnd } from '../protocol.ts'
import { newRoom } from '../streams/room.ts'
import type { RunScope } from '../signal.ts'
import { callTitle } from './thread-error.ts'
import { unsendable } from '../unsendable.ts'

/** The function to call. */
export interface WantedCall {
  readonly module: string
  readonly name: string
  readonly args: readonly unknown[]
  readonly batch?: BatchTask
}

export interface CallOptions {
  readonly transfer: readonly Transferable[]
  readonly scope: RunScope | undefined
  readonly priority: number
  readonly timeoutMs: number | undefined
}

export interface CallEvents {
  /** Called when the thread starts or stops waiting for the caller: for the reader of its stream, or for the source of an argument. */
  readonly waiting: (call: OffloadCall) => void
  /** Called when the reader of the call's stream has stopped early. */
  readonly stopped: (call: OffloadCall) => void
}

/** How long a source may take to end if the call has not read all its items. */
const MAX_SOURCE_END_MS = 1_000

let lastId = 0

/** One call in a pool, from the queue to its end. */
export class OffloadCall {
  readonly id = ++lastId
  readonly wanted: WantedCall
  readonly options: CallOptions
  readonly madeAt = performance.now()
  /** Whether the call can be sent to another thread. This is not possible if buffers or streams were moved to the first one. */
  readonly isRepeatable: boolean
  /** The result of the call, or the {@link ChunkReader} of a stream. */
  readonly result: Promise<unknown>
  /** Resolves when no thread executes the call any more. */
  readonly over: Promise<void>
  /** The progress that the run has last seen. */
  progress: Progress | undefined
  /** Why the pool has ended the call; used in its metrics. */
  endedBy: FailureReason | undefined
  #events: CallEvents | undefined
  #settle!: { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void }
  #markOver!: () => void
  #reader: ChunkReader | undefined
  #sources: readonly { readonly index: number; readonly source: ItemSource }[]
  #writers: readonly ChunkWriter[] = []
  #waitsFor = 0
  #isEnded = false

  constructor(wanted: WantedCall, options: CallOptions) {
    this.wanted = wanted
    this.options = options
    this.result = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
    this.over = new Promise((resolve) => (this.#markOver = resolve))
    this.#sources = wanted.batch ? [] : sourcesOf(wanted.args)
    this.isRepeatable = options.transfer.length === 0 && this.#sources.length === 0
  }

  get priority(): number {
    return this.options.priority
  }

  /** The job to which the call belongs. Jobs share the threads fairly. Empty outside of a run. */
  get job(): string {
    return this.options.scope?.run.jobId ?? ''
  }

  get isStream(): boolean {
    return this.#reader !== undefined
  }

  /** Whether the thread is waiting for the caller and so uses no processor time. */
  get isWaiting(): boolean {
    return this.#waitsFor > 0
  }

  /** Creates the message for the thread. From now on, sources are read when the thread asks for items. */
  begin(events: CallEvents): { readonly task: OffloadTask; readonly transfer: readonly Transferable[] } {
    this.#events = events
    const { module, name, args, batch } = this.wanted
    const plain = { id: this.id, module, name, ...(batch && { batch }) }
    const files = args.flatMap((arg, index): SourceArgument[] =>
      isOffloadFile(arg) ? [{ ...arg.toOpen, kind: 'file', index }] : [],
    )
    if (files.length === 0 && this.#sources.length === 0)
      return { task: { ...plain, args }, transfer: this.options.transfer }
    const streams = this.#sources.map(({ index, source }) => this.#send(source, index))
    const sources: SourceArgument[] = [...files, ...streams]
    const copied = args.map((arg, index) => (sources.some((source) => source.index === index) ? undefined : arg))
    const ports = streams.map(({ port }) => port)
    return { task: { ...plain, args: copied, sources }, transfer: [...this.options.transfer, ...ports] }
  }

  openStream(end: StreamEnd, onProgress: (progress: Progress) => void): void {
    const reader = new ChunkReader(end, {
      onProgress,
      onFull: (isFull) => this.#wait(isFull),
      onEnd: () => this.#events?.stopped(this),
    })
    this.#reader = reader
    this.#settle.resolve(reader)
    if (this.#isEnded) reader.fail(new Error('the call has ended'), true)
  }

  complete(reply: OffloadReply): void {
    // The end of a stream comes through its own port, because its last chunk may still be on its way.
    if (this.#reader === undefined) {
      if (reply.ok) this.#settle.resolve(reply.value)
      else this.#settle.reject(reviveError(reply.error))
    }
    this.#endSources()
  }

  /** Fails the call, because its thread can't continue. Items that have already arrived can still be read. */
  fail(error: unknown): void {
    this.#settle.reject(error)
    this.#reader?.fail(error, false)
    this.#endSources()
  }

  /** Ends the call, because its result is no longer wanted. Items that have not been read yet are dropped. */
  end(reason: unknown): void {
    this.#isEnded = true
    this.#settle.reject(reason)
    this.#reader?.fail(reason, true)
    this.#endSources()
  }

  /** Completes the call's stream when its reader has stopped and its thread was ended. */
  finishReading(): void {
    this.#reader?.finish()
  }

  markOver(): void {
    this.#endSources()
    this.#markOver()
  }

  #send(source: ItemSource, index: number): SourceArgument & { readonly port: MessagePort } {
    const { port1: ours, port2: port } = new MessageChannel()
    const room = newRoom()
    const writer = new ChunkWriter(
      source,
      { port: ours, room },
      {
        unsendable: (item, place, cause) =>
          unsendable(`an item of args[${index}] of ${callTitle(this.wanted)}`, `items[${place}]`, item, cause),
        maxEndMs: MAX_SOURCE_END_MS,
        onStarved: (isStarved) => this.#wait(isStarved),
      },
    )
    this.#writers = [...this.#writers, writer]
    void writer.write().finally(() => ours.close())
    return { kind: 'stream', index, port, room }
  }

  #wait(isWaiting: boolean): void {
    const was = this.isWaiting
    this.#waitsFor += isWaiting ? 1 : -1
    if (was !== this.isWaiting) this.#events?.waiting(this)
  }

  #endSources(): void {
    for (const writer of this.#writers) writer.end()
    if (this.#writers.length === 0)
      for (const { source } of this.#sources) void Promise.resolve(source.end()).catch(() => {})
    this.#sources = []
  }
}

function sourcesOf(args: readonly unknown[]): { readonly index: number; readonly source: ItemSource }[] {
  return args.flatMap((arg, index) =>
    isStream(arg) && !isOffloadFile(arg) ? [{ index, source: itemSource(arg) }] : [],
  )
}
