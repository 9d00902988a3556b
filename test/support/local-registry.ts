import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Installed {
  /** Relative to the repository: `node_modules/a`. */
  readonly path: string
  readonly version: string
}

/**
 * A registry of npm with exactly the packages that are installed in this repository, so that a test can run `npm install` as a user does, on
 * a machine without network.
 *
 * @returns its address, for `npm_config_registry`
 */
export async function localRegistry(): Promise<{ readonly url: string; readonly close: () => void }> {
  const installed = packages()
  const server = createServer((request, response) => {
    const asked = decodeURIComponent(request.url ?? '').slice(1)
    const [name = '', version] = asked.split('/-/')
    const found = installed.get(name) ?? []
    if (found.length === 0) return void response.writeHead(404).end('{}')
    if (version === undefined) return void response.end(JSON.stringify(document(name, found, url)))
    const wanted = found.find((one) => `${one.version}.tgz` === version)
    void tarball(wanted?.path ?? '').then(
      (bytes) => response.end(bytes),
      () => response.writeHead(500).end(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, close: () => void server.close() }
}

function packages(): Map<string, Installed[]> {
  const lock = JSON.parse(readFileSync(join(ROOT, 'node_modules/.package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version: string }>>
  }
  const found = new Map<string, Installed[]>()
  for (const [path, { version }] of Object.entries(lock.packages)) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    found.set(name, [...(found.get(name) ?? []), { path, version }])
  }
  return found
}

function document(name: string, found: readonly Installed[], url: string): object {
  const versions = found.map(({ path, version }) => {
    const manifest = JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8')) as object
    // Without scripts: what they would do has been done in the folder that is served.
    return [version, { ...manifest, scripts: {}, dist: { tarball: `${url}/${name}/-/${version}.tgz` } }]
  })
  return { name, 'dist-tags': { latest: found.at(-1)?.version }, versions: Object.fromEntries(versions) as object }
}

async function tarball(path: string): Promise<Buffer> {
  const fast = '--use-compress-program=gzip -1'
  const args = [
    '-C',
    join(ROOT, path),
    '--exclude=./node_modules',
    '--transform=s,^\\./,package/,',
    fast,
    '-cf',
    '-',
    '.',
  ]
  const { stdout } = await promisify(execFile)('tar', args, { encoding: 'buffer', maxBuffer: 2 ** 28 })
  return stdout
}
