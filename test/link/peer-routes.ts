import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineRoutes, type Routes } from 'piko/link'

/** The routes of a peer in tests. */
export function peerRoutes(): Routes {
  let aborted = 0
  return defineRoutes({ prefix: '/test' })
    .on('/echo', ({ body }) => body)
    .on('/aborted', () => aborted)
    .on('/slow', async ({ signal }) => {
      try {
        await sleep(600_000, undefined, { signal })
      } catch {
        aborted++
      }
    })
    .stream('/count', async function* ({ body, signal }) {
      for (let index = 0; index < Number(body) && !signal.aborted; index++) yield index
    })
    .upload('/hash', async ({ stream }) => {
      const hash = createHash('sha256')
      for await (const chunk of stream) hash.update(chunk as Buffer)
      return hash.digest('hex')
    })
    .on('/fail', () => {
      throw new Error('a secret detail')
    })
}
