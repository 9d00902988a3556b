import type { MessagePort } from 'node:worker_threads'
import type { TransferredError } from './error-transfer.ts'
import type { PackedRows } from './streams/packed-rows.ts'
import type { SharedRoom } from './streams/room.ts'

/** One call, as it is sent to its thread. */
export interface OffloadTask {
  /** The id of the call, unique in the process. */
  readonly id: number
  /** A `file:` URL. */
  readonly module: string
  /** The name of the exported function. */
  readonly name: string
  readonly args: readonly unknown[]
  /** The arguments that are streams or files. In `args`, their places are undefined. */
  readonly sources?: readonly SourceArgument[]
  /** Present if the call is a batch: `args[0]` is then the list of its items. */
  readonly batch?: BatchTask
}

export type SourceArgument = { readonly index: number } & (
  | ({ readonly kind: 'stream' } & StreamEnd)
  | ({ readonly kind: 'file' } & FileToOpen)
)

export interface FileToOpen {
  readonly path: string
  readonly compression: 'auto' | 'none' | 'gzip' | 'brotli' | 'deflate'
  readonly chunkBytes: number
}

export interface BatchTask {
  /** An exported function that combines the results of the batch. */
  readonly reduce: string | undefined
  /** Shared with the caller: how many items have begun, and when the last of them began, by `monotonicMs`. */
  readonly state: Int32Array
}

/** The reply to a call. An error is sent as data, because a thrown error would lose its code, cause and class. */
export type OffloadReply = CallResult & ThreadState

export type CallResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: TransferredError }

export interface ThreadState {
  /** The last progress, even if it has already been sent. */
  readonly progress?: Progress
  /** The types of work that the call has left running in its thread, such as `Timeout`. */
  readonly left?: readonly string[]
  /** How many bytes the thread uses after the call, including garbage that is not collected yet. */
  readonly usedBytes: number
}

/** The result of one item of a batch. `error` comes from the thread, `thrown` from the calling thread. */
export type BatchResult =
  | { readonly value: unknown }
  | { readonly error: TransferredError }
  | { readonly thrown: unknown }

export type Progress = readonly [done: number, total: number | undefined, message: string | undefined]

/** A message from a thread that is not a reply. */
export type ThreadMessage =
  /** Sent if the result of a call is a stream. The items arrive through the port. */
  | ({ readonly piko: 'stream'; readonly id: number } & StreamEnd)
  | { readonly piko: 'progress'; readonly id: number; readonly progress: Progress }
  /** The reply of a call can't be copied, so the call gets this error instead. */
  | { readonly piko: 'unsendable'; readonly id: number; readonly error: TransferredError }
  /** The work that earlier calls left behind has ended. */
  | { readonly piko: 'clean' }

export function isThreadMessage(message: unknown): message is ThreadMessage {
  return typeof message === 'object' && message !== null && 'piko' in message
}

/** One end of a stream, for its reader or its writer. */
export interface StreamEnd {
  readonly port: MessagePort
  readonly room: SharedRoom
}

/**
 * A message from the reader of a stream to its writer. `'open'`: the reader exists. `'more'`: it has room again, for which the writer
 * waits. `'hungry'`: it has read everything. `'end'`: it wants no more items.
 */
export type ReaderMessage = 'open' | 'more' | 'hungry' | 'end'

/** A message from the writer of a stream to its reader. */
export type WriterMessage =
  | { readonly items: readonly unknown[] }
  | { readonly packed: PackedRows }
  | { readonly isLast: true; readonly progress?: Progress }
  | { readonly error: TransferredError }
