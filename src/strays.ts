import { promiseHooks } from 'node:v8'
import { watchStray } from './errors-read.ts'

/**
 * Runs synchronous work that calls a user's functions. If it fails, no code awaits the promises that these functions created, such as that
 * of an asynchronous refinement in a schema. Ignores their rejections, because they would end the process.
 *
 * @param work receives a function that says whether a promise was created
 * @param isFailed whether a result means failure; an error thrown by `work` always does
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
