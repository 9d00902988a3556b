import { withRunSignal } from '../offload/signal.ts'

/** A function of the user that receives a signal. */
export type Call<T> = (signal: AbortSignal) => Promise<T> | T

/** Calls the function. A synchronous error becomes a rejection. Its offloaded calls are cancelled when the signal aborts. */
export async function called<T>(fn: Call<T>, signal: AbortSignal): Promise<T> {
  return withRunSignal({ signal }, () => fn(signal))
}
