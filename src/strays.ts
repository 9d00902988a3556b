import { promiseHooks } from 'node:v8'
import { watchStray } from './errors-read.ts'

/**
 * Does synchronous work that calls functions of the user's. Where it fails, nobody will ever await the promises that these functions
 * made, such as that of an asynchronous refinement in a schema: their rejections are dropped, or they would end the process.
 *
 * @param work     gets a function that says whether a promise has been made
 * @param isFailed whether an answer means that it failed; so does a throw
 */
export function withoutStrays<T>(work: (hasMade: () => boolean) => T, isFailed: (answer: T) => boolean): T {
  const made: Promise<unknown>[] = []
  const unhook = promiseHooks.onInit((promise) => void made.push(promise)) as () => void
  let hasFailed = true
  try {
    const answer = work(() => made.length > 0)
    hasFailed = isFailed(answer)
    return answer
  } finally {
    unhook()
    if (hasFailed) for (const promise of made) watchStray(promise)
  }
}
