// What both servers are to hold: the trees of all documents, and which of its own revisions each server means by the same edit.

let state = 0;
/** Everything that is random comes from here. */
export const begin = (seed) => { state = Number(seed); };
/** A whole number from 0, less than that. */
export const next = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
export const pick = (list) => list[next(list.length)];
/** One time in so many. */
export const once = (many) => next(many) === 0;
/** Each of them or not. */
export const some = (list) => list.filter(() => once(2));
export const hash = () => Array.from({ length: 8 }, () => next(65536).toString(16).padStart(4, "0")).join("");

const generation = (rev) => Number(rev.split("-")[0]);
export const nowhere = () => `${1 + next(3)}-${hash()}`;

/** A document's revisions; a node is { rev, path (newest first), parent, deleted, files: by name, of those that were copied the generation since which they are there, body: whether the revision itself was ever sent }. */
export class Tree {
  nodes = new Map();
  /** A server's own revision is in it: where one stands among others of its generation is each server's own affair, so none is grown any more. */
  edited = false;
  /** The call that changed it last. */
  changed = 0;

  /** Whether that was new. */
  add(path, { deleted = false, files = {} }) {
    if (this.nodes.has(path[0])) {
      return false;
    }
    path.forEach((rev, n) => {
      if (!this.nodes.has(rev)) {
        this.nodes.set(rev, { rev, path: path.slice(n), parent: path[n + 1], deleted: n === 0 && deleted, files: n === 0 ? files : {}, body: n === 0 });
      }
    });
    return true;
  }

  leaves() {
    const parents = new Set([...this.nodes.values()].map(({ parent }) => parent));
    return [...this.nodes.values()].filter(({ rev }) => !parents.has(rev));
  }

  leavesUnder(rev) {
    return this.leaves().filter(({ path }) => path.includes(rev));
  }

  /** A leaf goes with its ancestors that no other leaf has; false when it is none. */
  purge(rev) {
    if (!this.leaves().some((leaf) => leaf.rev === rev)) {
      return false;
    }
    for (let one = this.nodes.get(rev); one && !this.leaves().every((leaf) => leaf.rev !== one.rev); one = this.nodes.get(one.parent)) {
      this.nodes.delete(one.rev);
    }
    return true;
  }

  winner() {
    const order = ({ rev, deleted }) => [deleted ? 0 : 1, generation(rev), rev.split("-")[1]];
    return this.leaves().sort((one, two) => {
      const [a, b] = [order(one), order(two)];
      return b[0] - a[0] || b[1] - a[1] || (a[2] < b[2] ? 1 : -1);
    })[0];
  }
}

export const trees = new Map();
export const treeOf = (id) => {
  if (!trees.has(id)) {
    trees.set(id, new Tree());
  }
  return trees.get(id);
};
export const own = () => `own-${next(8)}`;
const growing = Array.from({ length: 6 }, (_, n) => `tree-${n}`);
/** A document that may still be grown: those that were edited give way to new ones. */
export const grown = () => {
  const place = next(growing.length);
  if (trees.get(growing[place])?.edited) {
    growing[place] = `tree-${trees.size + 10}`;
  }
  return growing[place];
};
/** Any document, now and then one that is not there. */
export const any = () => (once(12) ? "none" : pick([own(), ...trees.keys()].filter((id) => id !== "_design/fields")));
/** The revision of a node of that document, or of none. */
export const revision = (id) => {
  const nodes = [...(trees.get(id)?.nodes.keys() ?? [])];
  return nodes.length > 0 && !once(6) ? pick(nodes) : nowhere();
};
/** A revision that has attachments, mostly a winner: { id, rev: undefined for the winner, name }; any document while there is none. */
export const attached = () => {
  const all = [...trees].flatMap(([id, tree]) => [...tree.nodes.values()].filter(({ files }) => Object.keys(files).length > 0).map((node) => ({ id, rev: node.rev === current(id) ? undefined : node.rev, name: pick(Object.keys(node.files)) })));
  const winners = all.filter(({ rev }) => rev === undefined);
  return all.length === 0 || once(6) ? { id: any(), name: "f0" } : pick(winners.length > 0 && !once(3) ? winners : all);
};
export const isDeleted = (id) => trees.get(id)?.winner()?.deleted === true;
/** The winner's revision while the document is there. */
export const current = (id) => { const winner = trees.get(id)?.winner(); return winner && !winner.deleted ? winner.rev : undefined; };

// "2-w17" is the edit of the call 17; each server has a name of its own for it.
const names = [new Map(), new Map()];
const actual = [new Map(), new Map()];
/** As that server calls it. */
export const told = (server, id, rev) => actual[server].get(`${id} ${rev}`) ?? rev;
/** As the test calls it. */
export const known = (server, id, rev) => names[server].get(`${id} ${rev}`) ?? rev;
let edits = 0;
/** Both servers have made that edit of <parent>. */
export function edited(call, id, revs, { deleted, files, parent }) {
  const tree = treeOf(id);
  const node = tree.nodes.get(parent ?? tree.winner()?.rev);
  const rev = `${generation(revs[0])}-w${edits++}`;
  revs.forEach((made, server) => {
    names[server].set(`${id} ${made}`, rev);
    actual[server].set(`${id} ${rev}`, made);
  });
  tree.add([rev, ...(node?.path ?? [])], { deleted, files: Object.fromEntries(Object.entries(files ?? {}).map(([name, one]) => [name, one === "copied" ? generation(rev) : one])) });
  tree.edited = true;
  tree.changed = call;
}
export const generationOf = generation;
