import { credentials, makeClientConstructor } from '@grpc/grpc-js'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { ABOUT, callsPerSecond } from '../link/measures.ts'
import { ECHO, type Numbered } from './grpc-echo.ts'
import { versionOf } from './version-of.ts'

type Echo = (value: Numbered, callback: (error: Error | null, value?: Numbered) => void) => void

/** Unary calls of gRPC-js. */
export default async function grpc(config: SystemConfig): Promise<Found> {
  await using peer = await NodeProcess.start(new URL('grpc-peer.ts', import.meta.url), {})
  const Client = makeClientConstructor(ECHO, 'bench.Echo')
  const client = new Client(`127.0.0.1:${await peer.told('port')}`, credentials.createInsecure())
  const echo = (client['echo'] as Echo).bind(client)
  const calls = await callsPerSecond(
    Number(config['calls']),
    (index) =>
      new Promise((resolve, reject) => {
        echo({ index }, (error, value) => (error ? reject(error) : resolve(value)))
      }),
  )
  client.close()
  return {
    about: { ...ABOUT, versions: { ...ABOUT.versions, package: versionOf('@grpc/grpc-js') } },
    values: { 'small calls': { value: calls, unit: 'calls/s' } },
  }
}
