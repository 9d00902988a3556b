import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer, type LookupFunction } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { GuardProxy } from '../../../src/http-client/guard-proxy.ts'

const HOSTILE = [
  'HTTP/1.1 099 X\r\n\r\n',
  'HTTP/1.1 000 X\r\n\r\n',
  'HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
  'HTTP/1.1 999 X\x01\r\ncontent-length: 0\r\n\r\n',
  'HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\nab',
  'HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  'nonsense\r\n\r\n',
]

it('outlives servers that answer with nonsense', async () => {
  let next = 0
  const server = createServer((client) => {
    client.on('error', () => {})
    client.once('data', () => client.end(HOSTILE[next++] ?? ''))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const lookup = ((_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }])) as LookupFunction
  const guard = await GuardProxy.open(lookup)
  onTestFinished(() => guard.close())
  const url = `http://site.test:${(server.address() as AddressInfo).port}/`
  for (const _ of HOSTILE) {
    const asked = request(guard.url, { path: url, agent: false })
    const ended = Promise.race([
      once(asked, 'response').then(([reply]) => once((reply as IncomingMessage).resume(), 'close')),
      once(asked, 'close'),
    ]).catch((thrown: unknown) => thrown)
    asked.on('error', () => {})
    asked.end()
    await ended
  }
  expect(next).toBe(HOSTILE.length)
})
