import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { HttpService } from '../../../src/http/index.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { makeApp } from '../../support/app.ts'
import { describeSqlite } from '../../support/databases.ts'

describeSqlite((store) => {
  it('stops in time while 200 connections are idle, half-sent, streaming or wait for an answer', async () => {
    const slow = defineJob(
      { id: 'slow' },
      (ctx) => new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('over')))),
    )
    const app = makeApp(store.options, [slow], { settings: { piko: { shutdown_timeout: '1s' } } })
    const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
    await app.start()
    const { port } = new URL(http.url ?? '')
    const sockets: Socket[] = []
    const asks = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`
    const body = JSON.stringify({ wait: true })
    const texts = [
      '',
      'GET /api/v1/runs HTTP/1.1\r\nHost: 127',
      `POST /api/v1/jobs/slow/runs HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"wa`,
      `POST /api/v1/jobs/slow/runs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      asks('/api/v1/events'),
    ]
    for (let n = 0; n < 200; n++) {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => undefined)
      // Half of the streams are read, half are not.
      if (n % 10 < 5) socket.resume()
      await once(socket, 'connect')
      socket.write(texts[n % texts.length] ?? '')
      sockets.push(socket)
    }
    await expect.poll(async () => (await app.runs.list({ jobId: 'slow' })).length).toBe(200 / texts.length)
    const began = performance.now()
    await app.stop()
    // The limit of the stop, and ten times the usual rest.
    expect(performance.now() - began).toBeLessThan(15_000)
    for (const socket of sockets) if (!socket.resume().closed) await once(socket, 'close')
  })
})
