import { describe, expect, it } from 'vitest'
import { serviceGraph, toDot, toMermaid } from '../../../src/service/graph/graph.ts'
import { Service } from '../../../src/service/service.ts'
import { Supervisor } from '../../../src/service/supervisor.ts'
import { toSvg } from '../../../src/service/graph/svg.ts'
import { Worker } from '../../../src/service/worker.ts'

class Cache extends Service {}

/** Characters in a name that could break a drawing. */
const AWKWARD = [
  'say "hello"',
  "it's",
  'two\nlines',
  'C:\\new\\table\\',
  'list[0]] --> x',
  '<b>bold</b> & &lt;i&gt;',
  '`code` **strong** #35; %% end',
  '{a|b}; }',
  'Größe 日本 🚀',
  'end',
]

/** Reads the text that an SVG shows, one entry per node. */
function shown(svg: string): string[][] {
  const nodes = [...svg.matchAll(/<g id="node\d+" class="node">(.*?)<\/g>/gs)]
  return nodes.map(([, node = '']) =>
    [...node.matchAll(/<text [^>]*>(.*?)<\/text>/gs)].map(([, text = '']) =>
      text
        .replaceAll(/&#(\d+);/g, (_entity, code) => String.fromCodePoint(Number(code)))
        .replaceAll('&lt;', '<')
        .replaceAll('&gt;', '>')
        .replaceAll('&quot;', '"')
        .replaceAll('&amp;', '&')
        .replaceAll('\u00a0', ' '),
    ),
  )
}

describe('the graph', () => {
  it('has a node for each of two services of one class, with states, restarts, kinds and dependencies', async () => {
    const [one, two, store] = [new Cache(), new Cache(), new Cache({ name: 'store' })]
    const supervisor = new Supervisor([one, two])
    const worker = new Worker([supervisor], { log: console })
    two.dependsOn(one, store)
    expect(serviceGraph(worker)).toEqual({
      nodes: [
        { id: worker.id, name: 'Worker', state: 'init', restarts: 0, kind: 'worker' },
        { id: supervisor.id, name: 'Supervisor', state: 'init', restarts: 0, kind: 'supervisor' },
        { id: one.id, name: 'Cache', state: 'init', restarts: 0, kind: 'service' },
        { id: two.id, name: 'Cache', state: 'init', restarts: 0, kind: 'service' },
        { id: store.id, name: 'store', state: 'init', restarts: 0, kind: 'service' },
      ],
      edges: [
        { from: worker.id, to: supervisor.id, kind: 'child' },
        { from: supervisor.id, to: one.id, kind: 'child' },
        { from: supervisor.id, to: two.id, kind: 'child' },
        { from: two.id, to: one.id, kind: 'depends' },
        { from: two.id, to: store.id, kind: 'depends' },
      ],
    })
  })

  it('shows the current moment', async () => {
    const service = new Cache()
    await service.start()
    await service.restart()
    expect(serviceGraph(service).nodes).toMatchObject([{ state: 'running', restarts: 1 }])
    await service.stop()
    expect(serviceGraph(service).nodes).toMatchObject([{ state: 'stopped' }])
  })
})

describe('DOT', () => {
  it('renders as an SVG that shows each name unchanged', async () => {
    const root = new Cache({ name: 'root' })
    for (const name of AWKWARD) root.addChild(new Cache({ name }))
    root.addChild(new Cache()).dependsOn(root.addChild(new Cache()))
    await root.start()
    const svg = await toSvg(toDot(serviceGraph(root)))
    expect(shown(svg)).toEqual(['root', ...AWKWARD, 'Cache', 'Cache'].map((name) => [...name.split('\n'), 'running']))
    expect(svg.match(/class="edge"/g)).toHaveLength(AWKWARD.length + 3)
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(1)
    await root.stop()
  })
})

describe('Mermaid', () => {
  it('writes nodes, edges and states, and escapes special characters in names', () => {
    const root = new Cache({ name: 'root' })
    const [quoted, other] = [new Cache({ name: 'a "b"]\n<c>\\`' }), new Cache()]
    const supervisor = new Supervisor([quoted, other])
    root.addChild(supervisor)
    other.dependsOn(quoted)
    expect(toMermaid(serviceGraph(root))).toBe(
      [
        'flowchart TD',
        `  ${root.id}["root<br/>init"]:::init`,
        `  ${supervisor.id}{{"Supervisor<br/>init"}}:::init`,
        `  ${quoted.id}["a #34;b#34;#93;<br/>#60;c#62;#92;#96;<br/>init"]:::init`,
        `  ${other.id}["Cache<br/>init"]:::init`,
        `  ${root.id} --> ${supervisor.id}`,
        `  ${supervisor.id} --> ${quoted.id}`,
        `  ${supervisor.id} --> ${other.id}`,
        `  ${other.id} -.-> ${quoted.id}`,
        '  classDef init fill:#eeeeee,stroke:#495057,color:#212529',
        '',
      ].join('\n'),
    )
  })
})
