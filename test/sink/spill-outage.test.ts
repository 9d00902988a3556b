import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { storeSettings, eventually } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { OrderTarget } from '../support/order-target.ts'
import { WorkerProcess } from '../support/worker-process.ts'

const ROWS = 12_000

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'piko-spill-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describeEachStore((store) => {
  it('brings every row once and in order to a target that was down, though the process was killed', async () => {
    const database = await store.open()
    const target = new OrderTarget()
    await target.up()
    onTestFinished(() => target.down())
    const dir = newFolder()
    const settings = {
      ...storeSettings(store.options),
      piko: { lease: '3s', log_level: 'silent', poll_interval: '100ms' },
      sinks: { spill_dir: dir },
    } as const
    const order = { settings, url: target.url, rows: ROWS, batchSize: 100 }
    const first = new WorkerProcess({ ...order, requests: true }, 'sinks/writer')
    await eventually(() => expect(target.rows).toBeGreaterThan(0))
    await target.down()
    await first.told('spilling')
    await first.told('written', 9)
    await first.kill()

    const [app = ''] = readdirSync(dir)
    expect(statSync(join(dir, app)).mode & 0o777).toBe(0o700)
    const second = new WorkerProcess({ ...order, requests: false }, 'sinks/writer')
    await second.told('adopted')
    await second.told('settled succeeded')
    const [{ spilled_rows: spilled = 0 } = {}] = await database.sql.query<{ spilled_rows: number }>(
      'SELECT spilled_rows FROM piko_spill',
    )
    expect(Number(spilled)).toBeGreaterThan(ROWS / 2)
    expect(target.rows).toBeLessThan(ROWS)
    await target.up()
    await second.told('drained')

    expect(target.rows).toBe(ROWS)
    expect(target.disordered).toEqual([])
    second.signal('SIGTERM')
    expect(await second.end()).toMatchObject({ code: 0 })
    expect(readdirSync(join(dir, app))).toEqual([])
  })
})
