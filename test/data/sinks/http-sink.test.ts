import { expect, it } from 'vitest'
import { z } from 'zod'
import { httpSink } from '../../../src/data/sinks/http-sink.ts'
import type { SinkClass } from '../../../src/sink/sink.ts'
import { SinkPool } from '../../../src/sink/sink-pool.ts'
import { MemoryLog } from '../../resource/resource-context.ts'
import { hourOf, sinkScope } from '../../sink/sink-scope.ts'
import { bodyOf, HttpServer } from '../http-server.ts'

const Event = z.object({ id: z.int() })

async function deliver(sinkClass: SinkClass, rows: z.infer<typeof Event>[]): Promise<void> {
  const scope = sinkScope({ window: hourOf(1) })
  const pool = new SinkPool({ env: { sql: scope.sql, log: new MemoryLog() } })
  try {
    const { writers, flush } = await pool.forRun({ out: sinkClass }, scope)
    await writers['out']?.write(Event, rows)
    await flush()
  } finally {
    await pool.close()
  }
}

it('sends each batch with its key, and a failed one again with the same key', async () => {
  const bodies: string[] = []
  const server = await HttpServer.start(async (request, response, count) => {
    bodies.push(await bodyOf(request))
    response.writeHead(count === 1 ? 503 : 200).end()
  })
  const client = { retry: { limit: 2, base: '1ms' as const } }
  const headers = { authorization: 'Bearer secret' }
  await deliver(
    httpSink({ model: Event, url: `${server.origin}/in`, batchSize: 2, headers, client }),
    [1, 2, 3].map((id) => ({ id })),
  )
  const key = 'orders/2026-01-01T01:00:00.000Z'
  expect(server.requests.map(({ headers }) => headers['idempotency-key'])).toEqual(
    ['on0/0', 'on0/0', 'on0/1'].map((end) => `${key}/${end}`),
  )
  expect(server.requests.every(({ headers }) => headers.authorization === 'Bearer secret')).toBe(true)
  expect(bodies).toEqual(['[{"id":1},{"id":2}]', '[{"id":1},{"id":2}]', '[{"id":3}]'])
})

it('names the rows that the endpoint refuses, and no header', async () => {
  const server = await HttpServer.start((_request, response) => {
    response.writeHead(422, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ errors: [{ index: 1, message: 'no such customer' }] }))
  })
  const headers = { authorization: 'Bearer secret' }
  const sink = httpSink({ model: Event, url: server.origin, format: 'ndjson', headers })
  const failed = await deliver(sink, [{ id: 1 }, { id: 2 }]).catch((error: unknown) => error)
  expect(failed).toMatchObject({
    code: 'SINK_FAILED',
    message: expect.stringContaining('row 1 was refused: no such customer') as unknown,
  })
  expect(JSON.stringify(failed) + String((failed as Error).stack)).not.toContain('secret')
  expect(server.requests).toHaveLength(1)
})
