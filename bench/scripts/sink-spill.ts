import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { WriterOrder } from '../../test/fixtures/sinks/writer-order.ts'
import { OrderTarget } from '../../test/support/order-target.ts'
import { cleanEnv, SOURCE_FLAGS } from '../../test/support/source-process.ts'

const ROWS = 200_000
const OUTAGE_MS = 60_000
/** The writer ends if it needs more for its objects. */
const HEAP_MIB = 96

/**
 * The target of a sink is down for a minute while 200,000 rows are written, and the writer is killed midway and started again. Prints how
 * long it took, the most memory of the second process (resident, with Node itself), and whether all rows came once and in order.
 */
const folder = mkdtempSync(join(tmpdir(), 'piko-bench-spill-'))
const target = new OrderTarget()
await target.up()
const settings = {
  sqlite: { path: join(folder, 'piko.db') },
  piko: { lease: '3s', log_level: 'error', poll_interval: '100ms' },
  sinks: { spill_dir: join(folder, 'spill') },
} as const
const order = { settings, url: target.url, rows: ROWS, batchSize: 500 }
const script = fileURLToPath(new URL('../../test/fixtures/sinks/writer.ts', import.meta.url))

function start(given: WriterOrder) {
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MIB}`, ...SOURCE_FLAGS, script, JSON.stringify(given)],
    {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  const told = async (beginning: string): Promise<void> => {
    while (!lines.some((line) => line.startsWith(beginning))) await sleep(50)
  }
  return { child, lines, told }
}

const first = start({ ...order, requests: true })
while (target.rows === 0) await sleep(20)
await target.down()
const downAt = performance.now()
await first.told(`written ${ROWS / 2}`)
first.child.kill('SIGKILL')
const stored = target.rows
const second = start({ ...order, requests: false })
await second.told('settled succeeded')
const writtenAt = performance.now()
await sleep(Math.max(0, OUTAGE_MS - (performance.now() - downAt)))
await target.up()
const upAt = performance.now()
await second.told('drained')
const drainedAt = performance.now()
second.child.kill('SIGTERM')
await second.told('stopped')
const memory = Number(second.lines.find((line) => line.startsWith('most memory'))?.split(' ')[2]) / 1_024
console.log({
  rows: target.rows,
  isComplete: target.rows === ROWS,
  disordered: target.disordered.length,
  rowsBeforeTheOutage: stored,
  batchesThatCameAgain: [...target.keys.values()].filter((times) => times > 1).length,
  writtenAfterSeconds: Math.round((writtenAt - downAt) / 100) / 10,
  drainSeconds: Math.round((drainedAt - upAt) / 100) / 10,
  drainedRows: second.lines.find((line) => line.startsWith('drained')),
  mostMemoryMiB: Math.round(memory),
  leftOnDisk: readdirSync(join(folder, 'spill'), { recursive: true }).length - 1,
})
rmSync(folder, { recursive: true, force: true })
await target.down()
