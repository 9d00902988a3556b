import { describe, expect, it, onTestFinished } from 'vitest'
import { graphRoutes } from '../../src/http/graph.ts'
import { PikoError } from '../../src/errors.ts'
import { buildServer } from '../../src/http/server.ts'
import { SvgPictures } from '../../src/http/svg-pictures.ts'
import { defineService } from '../../src/service/define-service.ts'
import { serviceGraph } from '../../src/service/graph/graph.ts'
import { fastify } from 'fastify'

describe('/graph', () => {
  it('draws a large tree for many simultaneous requests, while the event loop turns', async () => {
    const children = Array.from({ length: 60 }, (_, index) => defineService({ name: `child ${index}` }))
    const root = defineService({ name: 'app', children })
    const server = fastify()
    onTestFinished(() => server.close())
    graphRoutes(server, { services: () => serviceGraph(root) })
    let turns = 0
    const timer = setInterval(() => (turns += 1), 1)
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.inject('/graph')))
    clearInterval(timer)
    for (const { statusCode, body } of answers) {
      expect(statusCode, body).toBe(200)
      expect(body).toContain('<svg')
    }
    // Starting a thread alone takes far longer than ten turns.
    expect(turns).toBeGreaterThan(10)
  })
})

describe('without the drawing package', () => {
  const missing = new PikoError('PACKAGE_MISSING', 'a picture in SVG needs the package @viz-js/viz')

  it('/graph answers with text, and looks for the package once', async () => {
    let calls = 0
    const pictures = new SvgPictures(() => {
      calls += 1
      return Promise.reject(missing)
    })
    let name = 'app'
    const server = fastify()
    onTestFinished(() => server.close())
    graphRoutes(server, { services: () => serviceGraph(defineService({ name })) }, pictures)
    for (name of ['app', 'other']) {
      const { statusCode, headers, body } = await server.inject('/graph')
      expect([statusCode, headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8'])
      expect(body).toContain('%% a picture in SVG needs the package @viz-js/viz\nflowchart')
      expect(body).toContain(name)
    }
    expect(calls).toBe(1)
  })

  it('a request for SVG is refused with the package to install', async () => {
    const server = buildServer({
      isStopping: () => false,
      health: () => ({ started: true, stopping: false, checks: {} }),
      metrics: () => Promise.resolve({ contentType: 'text/plain', body: '' }),
      services: () => {
        throw missing
      },
    })
    onTestFinished(() => server.close())
    const answer = await server.inject('/graph?format=svg')
    expect([answer.statusCode, answer.json()]).toEqual([
      501,
      { error: { code: 'PACKAGE_MISSING', message: missing.message } },
    ])
  })
})

describe('pictures', () => {
  it('draw each version once, one at a time, for all requests', async () => {
    const drawn: string[] = []
    let current = 0
    const pictures = new SvgPictures(async (dot) => {
      expect(++current).toBe(1)
      drawn.push(dot)
      await new Promise((resolve) => setImmediate(resolve))
      current -= 1
      return `<svg>${dot}</svg>`
    })
    expect(await Promise.all([pictures.of('a'), pictures.of('a'), pictures.of('b'), pictures.of('b')])).toEqual([
      '<svg>a</svg>',
      '<svg>a</svg>',
      '<svg>b</svg>',
      '<svg>b</svg>',
    ])
    await pictures.of('b')
    expect(drawn).toEqual(['a', 'b'])
  })

  it('are drawn again after a failure', async () => {
    let calls = 0
    const pictures = new SvgPictures(async () => {
      if (++calls === 1) throw new Error('no memory')
      return '<svg/>'
    })
    await expect(pictures.of('a')).rejects.toThrow('no memory')
    expect(await pictures.of('a')).toBe('<svg/>')
  })
})
