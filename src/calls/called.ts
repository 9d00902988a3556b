import { withRunSignal } from '../offload/signal.ts'

/** A function of a user that runs under a signal. */
export type Call<T> = (signal: AbortSignal) => Promise<T> | T

/** Calls the function. An immediate throw becomes a rejection, and its offloaded calls end with the signal. */
export async function called<T>(fn: Call<T>, signal: AbortSignal): Promise<T> {
  return withRunSignal({ signal }, () => fn(signal))
}
