import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { dial, type DialOptions, type Link, listen, type ListenOptions, type LinkServer, type Routes } from 'piko/link'
import { onTestFinished } from 'vitest'
import { SOURCE_FLAGS } from '../support/source-process.ts'

/** Serves routes until the test has finished. */
export async function serving(
  options: Partial<ListenOptions> & { readonly routes?: readonly Routes[] },
): Promise<LinkServer> {
  const server = listen({ ...((options.path === undefined || options.websocket) && { port: 0 }), ...options })
  await server.start()
  onTestFinished(() => server.stop())
  return server
}

/** A link that closes when the test has finished. */
export async function dialled(options: DialOptions): Promise<Link> {
  const link = await dial(options)
  onTestFinished(() => link.close())
  return link
}

/** Both ends in this process. */
export async function linked(routes: Routes, options: Partial<ListenOptions> = {}): Promise<Link> {
  const server = await serving({ ...options, routes: [routes] })
  return dialled({ url: server.url ?? '' })
}

/** Another process that serves `peer.ts`. @returns its address */
export async function peerProcess(): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const file = fileURLToPath(new URL('peer.ts', import.meta.url))
  const child = spawn(process.execPath, [...SOURCE_FLAGS, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const [url] = (await once(lines, 'line')) as [string]
  return { url, child }
}
