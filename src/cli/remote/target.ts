import type { Piko } from '../../app/piko.ts'
import type { Client } from '../../client/create-client.ts'

export interface Target {
  readonly url: string
  readonly token: string | undefined
  readonly reason?: string | undefined
}

interface Remote {
  readonly app: Piko
  readonly client: Client
}

/** The node that receives the requests of this process's commands, if `--url` or `PIKO_URL` names one. */
class RemoteTarget {
  #target: Target | undefined
  #remote: Promise<Remote> | undefined

  /** Sets the node that receives the requests. @param target undefined: the commands use the database */
  set(target: Target | undefined): void {
    if (JSON.stringify(target) !== JSON.stringify(this.#target)) this.#remote = undefined
    this.#target = target
  }

  /** Returns the node, or undefined if the commands use the database. */
  get(): Promise<Remote> | undefined {
    const target = this.#target
    if (!target) return undefined
    return (this.#remote ??= connect(target))
  }

  get target(): Target | undefined {
    return this.#target
  }

  get isSet(): boolean {
    return this.#target !== undefined
  }
}

async function connect({ url, token, reason }: Target): Promise<Remote> {
  const { createClient } = await import('../../client/create-client.ts')
  const { coreErrors, remoteApp } = await import('./remote-app.ts')
  const client = await coreErrors(() => createClient({ url, token }))
  return { client, app: remoteApp(client, { url, reason }) }
}

export const remoteTarget = new RemoteTarget()
