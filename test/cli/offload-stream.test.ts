import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { Project, until } from './project.ts'

const PARSE = `
import { writeFileSync } from 'node:fs'
import { progress } from 'piko/offload'
export async function* rows(csv, times) {
  let read = 0
  try {
    for await (const bytes of csv)
      for (let time = 0; time < times; time++) {
        for (const line of new TextDecoder().decode(bytes).split('\\n')) yield { id: ++read, line }
        progress(read)
      }
  } finally {
    writeFileSync('ended', String(read))
  }
}
`
const JOBS = `
import { writeFileSync } from 'node:fs'
import { defineJob, defineSink, file, offload, sqlTable } from 'piko'
import { z } from 'zod'
const Row = z.object({ id: z.number(), line: z.string() })
const table = sqlTable({ name: 'lines', columns: ['id', 'line'], windowColumn: null })
const Lines = defineSink({
  name: 'lines',
  open: ({ sql }) => sql.exec('CREATE TABLE IF NOT EXISTS lines (id BIGINT PRIMARY KEY, line VARCHAR(50))'),
  on: [[Row, (rows, batch) => table.upsert(batch, rows, ['id'])]],
})
const parsing = offload(new URL('./parse.mjs', import.meta.url))
export const load = defineJob({ id: 'load', sinks: { lines: Lines } }, async (ctx) => {
  for await (const row of parsing.rows(file('rows.csv.gz'), ctx.input)) await ctx.sinks.lines.write(Row, row)
  return 'all'
})
`

it('a file parsed in a thread goes into a table, and piko runs cancel ends reader and generator', async () => {
  const project = new Project({ 'jobs.mjs': JOBS, 'parse.mjs': PARSE })
  project.write('rows.csv.gz', gzipSync('a,b\n'.repeat(499)))
  const once = await project.piko(['run', 'load', '--input', '2', '--json'])
  expect(JSON.parse(once.stdout)).toMatchObject({ state: 'succeeded', output: 'all' })
  expect(project.has('ended')).toBe(true)
  project.write('ended', '')

  const node = project.start(['start', '--no-http', '--json'])
  await node.started()
  const { stdout } = await project.piko(['run', 'load', '--input', '1000000000', '--no-wait', '--json'])
  const id = String((JSON.parse(stdout) as { id: number }).id)
  interface Shown {
    readonly state: string
    readonly progress: { readonly done: number } | null
    readonly cancelRequestedAt: string
    readonly attempts: readonly { readonly finishedAt: string }[]
  }
  const show = async (): Promise<Shown> =>
    JSON.parse((await project.piko(['runs', 'show', id, '--json'])).stdout) as Shown
  await until(async () => ((await show()).progress?.done ?? 0) > 0)
  await project.piko(['runs', 'cancel', id])
  const ended = await until(async () => {
    const run = await show()
    return run.state === 'cancelled' && run
  })
  const [attempt] = ended.attempts
  // Two seconds on an idle machine.
  expect(Date.parse(attempt?.finishedAt ?? '') - Date.parse(ended.cancelRequestedAt)).toBeLessThan(20_000)
  await until(() => Promise.resolve(Number(project.read('ended')) > 0))
  node.kill('SIGTERM')
  expect((await node.ended).code).toBe(0)
})
