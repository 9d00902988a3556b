import type { MessagePort } from 'node:worker_threads'
import type { TransferredError } from './error-transfer.ts'
import type { PackedRows } from './streams/packed-rows.ts'
import type { SharedRoom } from './streams/room.ts'

/** One call, as sent to its thread. */
export interface OffloadTask {
  /** Unique in the process. */
  readonly id: number
  /** A `file:` URL. */
  readonly module: string
  /** The name of the exported function. */
  readonly name: string
  readonly args: readonly unknown[]
  /** The arguments that are streams or files; their places in `args` are empty. */
  readonly sources?: readonly SourceArgument[]
  /** The call is a batch: `args[0]` lists its items. */
  readonly batch?: BatchTask
}

export type SourceArgument = { readonly index: number } & (
  ({ readonly kind: 'stream' } & StreamEnd) | ({ readonly kind: 'file' } & FileToOpen)
)

export interface FileToOpen {
  readonly path: string
  readonly compression: 'auto' | 'none' | 'gzip' | 'brotli' | 'deflate'
  readonly chunkBytes: number
}

export interface BatchTask {
  /** An exported function that combines the results of the batch. */
  readonly reduce: string | undefined
  /** Shared with the caller: the number of items begun, and the time of the last beginning in milliseconds. */
  readonly state: Int32Array
}

/** The reply. An error is sent as data: thrown, it would lose its code, its cause and its class. */
export type OffloadReply = CallResult & ThreadState

export type CallResult =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: TransferredError }

export interface ThreadState {
  /** The last progress, whether it was sent before or not. */
  readonly progress?: Progress
  /** Work that the call has left behind in its thread, such as `Timeout`. */
  readonly left?: readonly string[]
  /** The bytes that the thread uses after the call, before its garbage is collected. */
  readonly usedBytes: number
}

/** The result of one item of a batch. `thrown` is an error of this side. */
export type BatchResult =
  { readonly value: unknown } | { readonly error: TransferredError } | { readonly thrown: unknown }

export type Progress = readonly [done: number, total: number | undefined, message: string | undefined]

/** A message of a thread apart from its replies. */
export type ThreadMessage =
  /** The result of a call is a stream, which arrives through the port. */
  | ({ readonly piko: 'stream'; readonly id: number } & StreamEnd)
  | { readonly piko: 'progress'; readonly id: number; readonly progress: Progress }
  /** The reply can't be copied. The thread can't answer any more. */
  | { readonly piko: 'unsendable'; readonly id: number; readonly error: TransferredError }
  /** The work that earlier calls left behind has ended. */
  | { readonly piko: 'clean' }

export function isThreadMessage(message: unknown): message is ThreadMessage {
  return typeof message === 'object' && message !== null && 'piko' in message
}

/** What either side of a stream has of it. */
export interface StreamEnd {
  readonly port: MessagePort
  readonly room: SharedRoom
}

/** From the reader of a stream to its writer: it exists; it has room again, for which the writer waits; it has read everything; it wants no more. */
export type ReaderMessage = 'open' | 'more' | 'hungry' | 'end'

/** From the writer of a stream to its reader. */
export type WriterMessage =
  | { readonly items: readonly unknown[] }
  | { readonly packed: PackedRows }
  | { readonly isLast: true }
  | { readonly error: TransferredError }
