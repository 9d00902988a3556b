import type { MessagePort } from 'node:worker_threads'
import type { OffloadFile } from './file.ts'

/** The type of a value that can't be copied to a thread. Its type argument shows which part can't be copied, and why. */
export interface Unsendable<Why extends string> {
  readonly "this value can't be copied between threads": Why
}

type Copied =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | void
  | Date
  | RegExp
  | Error
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | Blob
  | MessagePort

type Uncopied = Promise<unknown> | WeakMap<never, unknown> | WeakSet<never> | URL | AbortSignal
export type IsAny<T> = 0 extends 1 & T ? true : false
type Depths = [never, 0, 1, 2, 3, 4]

/** Why `T` can't be copied; `never` if there is no known reason. */
export type WhyUnsendable<T, Path extends string, Depth extends number = 5> =
  IsAny<T> extends true
    ? never
    : unknown extends T
      ? never
      : [Depth] extends [never]
        ? never
        : T extends Copied
          ? never
          : T extends (...args: never[]) => unknown
            ? `${Path} is a function`
            : T extends symbol
              ? `${Path} is a symbol`
              : T extends Uncopied
                ? `${Path} is not plain data`
                : T extends ReadonlyMap<infer K, infer V>
                  ? WhyUnsendable<K | V, `${Path}.get()`, Depths[Depth]>
                  : T extends ReadonlySet<infer V>
                    ? WhyUnsendable<V, `${Path}[]`, Depths[Depth]>
                    : T extends readonly (infer V)[]
                      ? WhyUnsendable<V, `${Path}[]`, Depths[Depth]>
                      : {
                          [K in keyof T & string]: undefined extends T[K]
                            ? never
                            : WhyUnsendable<T[K], `${Path}.${K}`, Depths[Depth]>
                        }[keyof T & string]

/** The type `T` itself, or the reason why it can't be copied. */
export type Sendable<T, Path extends string> = [WhyUnsendable<T, Path>] extends [never]
  ? T
  : Unsendable<WhyUnsendable<T, Path>>

/** The type of a value that a caller may pass for a parameter. For an async iterable, it may also be a stream or a file. */
export type Argument<T, Path extends string> =
  IsAny<T> extends true
    ? T
    : unknown extends T
      ? T
      : T extends AsyncIterable<infer Item>
        ? AsyncIterable<Item> | ReadableStream<Item> | (Uint8Array extends Item ? OffloadFile : never)
        : Sendable<T, Path>

/** The parameters of an offloaded function. */
export type Arguments<Args extends readonly unknown[]> = {
  [I in keyof Args]: Argument<Args[I], `args[${I & string}]`>
}
