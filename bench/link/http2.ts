import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { ABOUT, bulk, bulkHash, bulkSpeed, callsPerSecond } from './measures.ts'

export default async function http2(config: SystemConfig): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('peer.ts', import.meta.url), { kind: 'http2' })
  const session = connect(`http://127.0.0.1:${await peer.told('port')}`)
  const calls = await callsPerSecond(Number(config['calls']), async (index) => {
    const stream = session.request({ ':method': 'POST', ':path': '/echo' })
    stream.end(JSON.stringify({ index }))
    return JSON.parse(await text(stream)) as unknown
  })
  const expected = bulkHash()
  const speed = await bulkSpeed(() => send(session, expected))
  session.destroy()
  return {
    about: ABOUT,
    values: { 'small calls': { value: calls, unit: 'calls/s' }, bulk: { value: speed, unit: 'MB/s' } },
  }
}

async function send(session: ClientHttp2Session, expected: string): Promise<void> {
  const stream = session.request({ ':method': 'POST', ':path': '/hash' })
  const hash = createHash('sha256')
  for (const piece of bulk()) {
    hash.update(piece)
    if (!stream.write(piece)) await once(stream, 'drain')
  }
  stream.end()
  if ((await text(stream)) !== expected || hash.digest('hex') !== expected) throw new Error('the bulk arrived damaged')
}
