import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineRoutes, listen } from 'piko/link'

// A process that serves a link: prints its address, and ends with its standard input.
let aborted = 0
const routes = defineRoutes({ prefix: '/test' })
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

const server = listen({ port: 0, routes: [routes], log: quiet() })
await server.start()
console.log(server.url)
process.stdin.resume().on('end', () => void server.stop())

function quiet(): { [K in 'trace' | 'debug' | 'info' | 'warn' | 'error']: () => void } {
  const nothing = (): void => {}
  return { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
}
