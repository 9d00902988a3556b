import { compareScripts } from './harness/compare-scripts.ts'
import { parseOptions } from './harness/options.ts'

const script = (name: string): URL => new URL(`link/${name}.ts`, import.meta.url)

/**
 * A link beside `node:http2`, gRPC-js and a bare socket with SHA-256: small calls, bulk, urgent calls behind bulk on a slow line, memory, an
 * idle connection. Both ends are processes of their own.
 */
export async function link(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 20_000, repeat: 3 })
  const { runs } = options
  const shared = { variant: '', server: 'file', options: { calls: runs } } as const
  await compareScripts('link', 'TCP on loopback', options, [
    { ...shared, system: 'piko', module: script('piko') },
    { ...shared, system: 'node:http2', module: script('http2') },
    { ...shared, system: 'gRPC-js', module: new URL('peers/grpc.ts', import.meta.url) },
    { ...shared, system: 'socket with SHA-256', module: script('socket') },
    { ...shared, system: 'piko', variant: '20 MB/s line', module: script('slow-line') },
    { ...shared, system: 'piko', variant: 'a reader that stops, idle', module: script('bounds') },
    { ...shared, system: 'piko', variant: '1 GB into a file', module: script('file') },
    { ...shared, system: 'plain Node', variant: '1 GB into a file', module: script('plain-file') },
  ])
}
