import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fastify, type FastifyInstance } from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { dashboardRoutes } from '../../src/http/dashboard.ts'

const HTML = { accept: 'text/html,application/xhtml+xml' }

function built(): { server: FastifyInstance; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'piko-dashboard-'))
  const server = fastify()
  onTestFinished(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  dashboardRoutes(server, folder)
  return { server, folder }
}

function build(folder: string): void {
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<h1>the page</h1>')
  writeFileSync(join(folder, 'assets/index-1.js'), 'x'.repeat(5_000))
}

it('answers every path of a page with the page, and says a strict policy', async () => {
  const { server, folder } = built()
  build(folder)
  for (const url of ['/', '/runs/17?tab=log', '/jobs/a%2Fb']) {
    const { statusCode, body, headers } = await server.inject({ url, headers: HTML })
    expect([statusCode, body, headers['cache-control']], url).toEqual([200, '<h1>the page</h1>', 'no-cache'])
    const policy = String(headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
    expect(policy).not.toMatch(/unsafe|data:|\*/)
    expect(headers['x-content-type-options']).toBe('nosniff')
  }
})

it('keeps unknown paths of programs a 404, and leads out of its folder by no name', async () => {
  const { server, folder } = built()
  build(folder)
  writeFileSync(join(folder, '../outside.js'), '')
  const programs = ['/healthz', '/readyz', '/metrics', '/graph', '/api', '/api/v1/nothing'].map((url) => ({
    url,
    headers: HTML,
  }))
  const files = ['/assets/none.js', '/assets/..%2findex.html', '/assets/%2e%2e%2f%2e%2e%2foutside.js'].map((url) => ({
    url,
    headers: HTML,
  }))
  for (const request of [...programs, ...files, { url: '/runs', headers: { accept: 'application/json' } }])
    expect((await server.inject(request)).statusCode, request.url).toBe(404)
})

it('lets browsers keep the files whose names contain a hash, and sends them compressed', async () => {
  const { server, folder } = built()
  build(folder)
  const { headers, rawPayload } = await server.inject({
    url: '/assets/index-1.js',
    headers: { 'accept-encoding': 'gzip' },
  })
  expect(headers).toMatchObject({ 'content-encoding': 'gzip', 'content-type': 'text/javascript; charset=utf-8' })
  expect(headers['cache-control']).toBe('public, max-age=31536000, immutable')
  expect(rawPayload.length).toBeLessThan(100)
  expect((await server.inject('/assets/index-1.js')).body).toHaveLength(5_000)
})

it('says what to run where it is not built, and serves it once it is', async () => {
  const { server, folder } = built()
  const { statusCode, body } = await server.inject({ url: '/', headers: HTML })
  expect(statusCode).toBe(503)
  expect(body).toContain('npm run build:dashboard')
  build(folder)
  expect((await server.inject({ url: '/', headers: HTML })).statusCode).toBe(200)
})
