import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { ExampleProcess } from '../integration/example-process.ts'
import { eventually } from '../support/app.ts'

it('the example of an HTTP and WebSocket server serves a real client, and cuts off one that does not read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'piko-server-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const run = new ExampleProcess('server.ts', { cwd: folder, env: { PORT: '0' } })
  const url = await eventually(() => {
    const found = /listening on (http:\S+)/.exec(run.stdout)?.[1]
    if (found === undefined) throw new Error(`not listening: ${run.stdout}${run.stderr}`)
    return found
  })
  const status = async (): Promise<{ connections: number; rss: number }> =>
    (await fetch(`${url}/api/status`)).json() as Promise<{ connections: number; rss: number }>
  const say = (message: unknown): Promise<Response> =>
    fetch(`${url}/api/data`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ message }),
    })
  expect(await (await fetch(url)).text()).toBe('<h1>It works</h1>')
  expect((await fetch(`${url}/static/index.html`)).headers.get('content-type')).toMatch(/^text\/html/)
  expect((await fetch(`${url}/static/..%2f..%2fserver.ts`)).status).not.toBe(200)
  expect((await fetch(`${url}/piko/healthz`)).status).toBe(200)
  await eventually(async () => expect((await fetch(`${url}/piko/readyz`)).status).toBe(200))
  expect((await say(7)).status).toBe(422)
  const empty = await say('')
  expect([empty.status, await empty.json()]).toEqual([422, { problem: 'nothing to say' }])

  const reader = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  const heard: string[] = []
  reader.on('message', (data: Buffer) => heard.push(data.toString()))
  await once(reader, 'open')
  reader.send('hello')
  await eventually(() => expect(heard.splice(0)).toEqual(['hello']))
  const answered = await say('news')
  expect([answered.status, await answered.json()]).toEqual([201, { run: expect.any(Number) as number, reached: 1 }])
  await eventually(() => expect(heard.splice(0)).toEqual([expect.stringContaining('"message":"news"')]))

  const { hostname, port } = new URL(url)
  const deaf = connect({ host: hostname, port: Number(port) })
  onTestFinished(() => void deaf.destroy())
  deaf.on('error', () => {})
  const key = randomBytes(16).toString('base64')
  deaf.write(
    `GET /ws HTTP/1.1\r\nhost: ${hostname}:${port}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
  )
  await eventually(async () => expect((await status()).connections).toBe(2))
  deaf.pause()
  let sent = 0
  const big = 'x'.repeat(500_000)
  while ((await status()).connections === 2) {
    expect((await say(big)).status).toBe(201)
    expect(++sent).toBeLessThan(200)
  }
  expect((await status()).connections).toBe(1)
  await eventually(() => expect(heard).toHaveLength(sent))
  reader.close()
  run.kill('SIGTERM')
  expect(await run.end(), run.stderr).toBe(0)
})
