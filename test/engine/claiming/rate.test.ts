import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { RateOrder } from '../../fixtures/engine/rate-order.ts'
import { eventually, makeApp, testSettings } from '../../support/app.ts'
import { CountingServer, fullestSpan } from '../../support/counting-server.ts'
import { describeEachStore } from '../../support/databases.ts'
import { cleanEnv, SOURCE_FLAGS } from '../../support/source-process.ts'

const NODE = fileURLToPath(new URL('../../fixtures/engine/rate-node.ts', import.meta.url))

async function startNode(order: RateOrder): Promise<void> {
  const child = spawn(process.execPath, [...SOURCE_FLAGS, NODE, JSON.stringify(order)], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  expect(line).toBe('started')
}

describeEachStore((fixture) => {
  it.each([
    { rate: '5/s', limit: 5, runs: 60, blockMs: 400 },
    { rate: '50/s', limit: 50, runs: 500, blockMs: 100 },
  ] as const)(
    'keeps $rate at the begin of handlers and at the server that they call, on two nodes with busy event loops',
    { timeout: 600_000 },
    async ({ rate, limit, runs, blockMs }) => {
      await fixture.open()
      await fixture.empty()
      await using server = await CountingServer.start()
      const settings = testSettings(fixture.options)
      const client = makeApp(fixture.options, [defineJob({ id: 'call', rate }, () => {})], {
        execute: false,
      })
      await client.start()
      await client.enqueueMany(
        'call',
        Array.from({ length: runs }, () => ({})),
      )
      await Promise.all([1, 2].map(() => startNode({ settings, rate, port: server.port, blockMs })))
      await eventually(() => expect(server.hits.length).toBe(runs), 400_000)
      const begins = server.hits.map(({ text }) => text.split(' ').map(Number) as [number, number])
      expect(new Set(begins.map(([runId]) => runId)).size).toBe(runs)
      const begun = begins.map(([, at]) => ({ since: at, at }))
      expect(fullestSpan(begun, 1_000)).toBeLessThanOrEqual(limit)
      expect(fullestSpan(server.hits, 1_000)).toBeLessThanOrEqual(limit)
    },
  )
})
