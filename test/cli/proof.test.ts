import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Certificate } from '../../src/operations/proof/certificate.ts'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { z } from 'zod'
import { defineJob, defineSink, sqlTable } from 'piko'
const Row = z.object({ id: z.number() })
const table = sqlTable({ name: 'rows', model: Row, key: ['id'], fenceColumn: 'fence' })
const Rows = defineSink({ name: 'rows', open: (env) => table.open(env, { create: true }), on: [[Row, (rows, batch) => table.replace(batch, rows)]] })
const windows = { start: '2025-03-29', end: '2025-04-01', grid: '0 0 * * *' }
export const day = defineJob({ id: 'day', timezone: 'Europe/Berlin', windows, sinks: { rows: Rows }, proof: '0 6 * * *' }, async ({ sinks }) => {
  for (const id of [1, 2, 3]) await sinks.rows.write(Row, { id })
})
`

it('piko windows prove prints a certificate, names what is wrong, and exits with 1; the job of the proof fails', async () => {
  const project = new Project({ 'jobs.mjs': JOBS })
  const node = project.start(['start', '--json'])
  expect((await node.started()).jobs).toEqual(['day', 'day:proof'])
  const proved = await until(async () => {
    const { code, stdout } = await project.piko(['windows', 'prove', 'day', '--json'])
    const certificate = JSON.parse(stdout) as Certificate
    return certificate.windows.succeeded === 3 && { code, certificate }
  })
  expect(proved).toMatchObject({
    code: 0,
    certificate: {
      isProved: true,
      from: '2025-03-28T23:00:00.000Z',
      tables: [{ name: 'rows', rows: 9, unrecorded: 0 }],
    },
  })
  const database = new DatabaseSync(join(project.folder, '.piko/piko.db'))
  database.exec("DELETE FROM rows WHERE id = 2 AND window_start LIKE '2025-03-29%'")
  database.close()

  const wrong = await project.piko(['windows', 'prove', 'day', '--from', '2025-03-30'])
  expect(wrong.code).toBe(1)
  expect(wrong.stdout).toContain(
    'missing: rows has 2 rows of window 2025-03-30 (Europe/Berlin); 3 were recorded when it ended\n' +
      '  repair: piko backfills create day --from 2025-03-30 --to 2025-03-31 --only all\n',
  )
  expect(wrong.stderr).toContain('error PROOF_FAILED: the ledger of job "day" has 1 finding:')
  const right = await project.piko(['windows', 'prove', 'day', '--to', '2025-03-30'])
  expect([right.code, right.stdout]).toEqual([0, expect.stringMatching(/^windows +1 succeeded$[^]*^result +proved$/m)])
  const nightly = await project.piko(['run', 'day:proof', '--json'])
  expect([nightly.code, errorOf(nightly).code]).toEqual([1, 'RUN_FAILED'])
  expect(errorOf(nightly).message).toContain('missing: rows has 2 rows of window 2025-03-30 (Europe/Berlin)')
  node.kill('SIGTERM')
  await node.ended
})
