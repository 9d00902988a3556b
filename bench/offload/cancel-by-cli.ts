import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Piko } from 'piko'

const CLI = fileURLToPath(new URL('../bin.js', import.meta.url))
/** How far the run is before it is cancelled. */
const WORK_MS = 5_000

interface Store {
  readonly mysql?: { readonly dsn: string }
  readonly sqlite?: { readonly path: string }
}

/** Starts the run, lets it work, and ends it by `piko runs cancel`. */
export async function cancelByCli(app: Piko, { mysql, sqlite }: Store) {
  const moved = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<number>()
  app.events.on('run.progress', () => moved.resolve())
  app.events.on('run.settled', () => ended.resolve(performance.now()))
  const { id } = await app.run('load')
  await moved.promise
  await new Promise((resolve) => setTimeout(resolve, WORK_MS))
  const began = performance.now()
  const env = {
    PATH: process.env['PATH'],
    ...(mysql && { PIKO_MYSQL__DSN: mysql.dsn }),
    ...(sqlite && { PIKO_SQLITE__PATH: sqlite.path }),
  }
  await promisify(execFile)(process.execPath, [CLI, 'runs', 'cancel', String(id)], { env })
  const endedAt = await ended.promise
  const { state, cancelRequestedAt, attempts } = await app.runs.show(id)
  const finishedAt = attempts.at(-1)?.finishedAt
  if (state !== 'cancelled' || !finishedAt || !cancelRequestedAt) throw new Error(`the cancelled run is ${state}`)
  return {
    'cancel ms': finishedAt.getTime() - cancelRequestedAt.getTime(),
    'with the CLI ms': Math.round(endedAt - began),
  }
}
