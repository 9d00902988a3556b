import type { Duplex } from 'node:stream'
import { isPrefaceSoFar, PREFACE_BYTES } from '../wire/preface.ts'

/**
 * Waits until the other end has sent its whole preface. No object of a link is created before that, so connections that send anything else,
 * or nothing, cost little. The bytes can be read from the stream afterwards.
 *
 * @param ms how long it may take
 * @param done called once, with whether the preface has arrived; if it has not, the stream is already destroyed
 * @returns a function that stops waiting and destroys the stream
 */
export function awaitPreface(duplex: Duplex, ms: number, done: (isPreface: boolean) => void): () => void {
  let first: Buffer = Buffer.alloc(0)
  const end = (isPreface: boolean): void => {
    clearTimeout(late)
    duplex.off('data', take).off('end', fail).off('close', fail)
    if (isPreface) duplex.unshift(first)
    else duplex.destroy()
    done(isPreface)
  }
  const fail = (): void => end(false)
  const take = (bytes: Buffer): void => {
    first = first.length === 0 ? bytes : Buffer.concat([first, bytes])
    if (!isPrefaceSoFar(first)) fail()
    else if (first.length >= PREFACE_BYTES) end(true)
  }
  const late = setTimeout(fail, ms)
  duplex.on('error', () => {})
  duplex.on('data', take).on('end', fail).on('close', fail)
  return fail
}
