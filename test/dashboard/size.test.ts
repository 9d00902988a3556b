import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'

const BUILT = fileURLToPath(new URL('../../dist/dashboard', import.meta.url))
const KB = 1_000

function gzipped(file: string): number {
  return gzipSync(readFileSync(`${BUILT}/${file}`), { level: 9 }).byteLength
}

function total(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + gzipped(file), 0)
}

it('the whole dashboard and its first page are small, and load nothing from elsewhere', () => {
  const all = readdirSync(`${BUILT}/assets`).map((file) => `assets/${file}`)
  const page = readFileSync(`${BUILT}/index.html`, 'utf8')
  const first = all.filter((file) => page.includes(file))
  expect(first.length).toBeGreaterThanOrEqual(2)
  expect(total([...all, 'index.html'])).toBeLessThan(250 * KB)
  expect(total([...first, 'index.html'])).toBeLessThan(120 * KB)
  expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
  // The names of other hosts in the code are those of namespaces, such as that of SVG.
  for (const file of all.filter((one) => one.endsWith('.js'))) {
    const hosts = readFileSync(`${BUILT}/${file}`, 'utf8').match(/https?:\/\/[\w.-]+/g) ?? []
    expect(
      hosts.filter((host) => !/w3\.org$|127\.0\.0\.1$|localhost$|crontab|example/.test(host)),
      file,
    ).toEqual([])
  }
})
