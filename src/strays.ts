import { promiseHooks } from 'node:v8'
import { watchStray } from './errors-read.ts'

/**
 * Runs synchronous work that calls a user's functions. These functions may create promises, for example in an asynchronous refinement of a
 * schema. If the work fails, nobody awaits these promises, and their rejections would end the process. So this function ignores these
 * rejections.
 *
 * @param work receives a function that says whether a promise was created
 * @param isFailed whether a result counts as a failure; an error thrown by `work` always counts as one
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
