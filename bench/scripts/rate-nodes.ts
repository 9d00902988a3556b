import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { RateOrder } from '../../test/fixtures/engine/rate-order.ts'
import { cleanEnv, SOURCE_FLAGS } from '../../test/support/source-process.ts'

const NODE = fileURLToPath(new URL('../../test/fixtures/engine/rate-node.ts', import.meta.url))

/** Starts a node whose job calls the counting server. */
export async function startNode(order: RateOrder): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...SOURCE_FLAGS, NODE, JSON.stringify(order)], {
    env: cleanEnv(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  process.once('exit', () => child.kill('SIGKILL'))
  await once(createInterface(child.stdout), 'line')
  return child
}
