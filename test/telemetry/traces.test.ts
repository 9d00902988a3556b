import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { context, trace } from '@opentelemetry/api'
import { expect, it, onTestFinished } from 'vitest'
import { Piko } from '../../src/app/piko.ts'
import { registerSdk } from '../fixtures/telemetry/sdk.ts'
import { tracedJob } from '../fixtures/telemetry/traced-job.ts'
import { eventually, testSettings } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts'
import { WorkerProcess } from '../support/worker-process.ts'

const valueOf = (span: ReceivedSpan | undefined, key: string): unknown =>
  Object.values(span?.attributes?.find((one) => one.key === key)?.value ?? {})[0]

describeEachStore((store) => {
  it('shows one trace of a run that an HTTP request enqueues on one node, and that runs on another', async () => {
    const receiver = await startOtlpReceiver()
    const flush = registerSdk(receiver.url)
    // The process runs other files afterwards. Each of their runs would send its spans, again and again, to a receiver that has ended.
    onTestFinished(async () => {
      await flush()
      trace.disable()
      context.disable()
    })
    const url = receiver.url
    const settings = testSettings(store.options)
    const first = new Piko({ jobs: [tracedJob], settings, execute: false })
    await first.start()
    onTestFinished(() => first.stop())
    const node = new WorkerProcess({ settings, url }, 'telemetry/traced-node')
    await node.told('started')

    const tracer = trace.getTracer('shop')
    const server = createServer((request, response) => {
      void tracer.startActiveSpan('POST /orders', async (span) => {
        const id = await first.enqueue('traced', { input: request.url === '/bad' ? 'fail' : null })
        const { state } = await first.waitFor(id)
        span.end()
        response.end(JSON.stringify({ id, state }))
      })
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const post = async (path: string): Promise<{ id: number; state: string }> => {
      const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)
      return (await answer.json()) as { id: number; state: string }
    }
    const { id, state } = await post('/good')
    const bad = await post('/bad')
    expect([state, bad.state]).toEqual(['succeeded', 'failed'])

    const ofRun = (run: number) =>
      receiver.spans.find((one) => one.name === 'run traced' && String(valueOf(one, 'piko.run.id')) === String(run))
    await eventually(() => {
      expect(ofRun(id)).toBeDefined()
      expect(ofRun(bad.id)).toBeDefined()
      expect(receiver.spans.filter(({ name }) => name === 'run ticking').length).toBeGreaterThan(0)
    })
    const run = ofRun(id) as ReceivedSpan
    const spans = receiver.spans.filter(({ traceId }) => traceId === run.traceId)
    const named = (name: string) => spans.find((one) => one.name === name)
    expect(spans.map(({ name }) => name).sort()).toEqual([
      ...['POST /orders', 'offload double', 'queue traced', 'resource', 'run traced', 'sink orders'],
    ])
    const caller = run.links?.[0]
    expect(caller?.traceId).toBe(run.traceId)
    expect(caller?.spanId).toBe(named('POST /orders')?.spanId)
    expect(named('queue traced')?.parentSpanId).toBe(caller?.spanId)
    expect(run.parentSpanId).toBe(named('queue traced')?.spanId)
    for (const name of ['resource', 'offload double', 'sink orders']) expect(named(name)?.parentSpanId).toBe(run.spanId)
    expect(valueOf(run, 'piko.run.outcome')).toBe('success')

    const failed = ofRun(bad.id)
    expect(failed?.status).toMatchObject({ code: 2, message: expect.stringContaining('no answer') as string })
    expect(JSON.stringify(receiver.spans)).not.toContain('hunter2')

    const ticked = receiver.spans.find(({ name }) => name === 'run ticking')
    const its = receiver.spans.filter(({ traceId }) => traceId === ticked?.traceId)
    expect(its.map(({ name }) => name).sort()).toEqual(['queue ticking', 'run ticking', 'tick ticking'])
    expect(its.find(({ name }) => name === 'tick ticking')?.parentSpanId ?? '').toBe('')
    node.signal('SIGTERM')
    await node.end()
  })
})
