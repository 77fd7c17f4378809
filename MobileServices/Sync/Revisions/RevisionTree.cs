namespace MobileServices.Sync.Revisions;

/// <summary>
/// All revisions of a document that are remembered, each after its parent. A document has one winning leaf, the same on every peer: one that is not
/// deleted before one that is, then the higher generation, then the greater hash.
/// </summary>
internal sealed class RevisionTree
{
    private const int NoParent = -1;

    private readonly List<Node> _nodes;

    public RevisionTree() => _nodes = [];

    private RevisionTree(List<Node> nodes) => _nodes = nodes;

    public int Count => _nodes.Count;

    public IEnumerable<Rev> Revs => _nodes.Select(node => node.Rev);

    public static RevisionTree Read(ReadOnlySpan<byte> bytes) => new(TreeCode.Read(bytes));

    public byte[] ToBytes() => TreeCode.Write(_nodes);

    public bool Contains(Rev rev) => Find(rev) >= 0;

    public bool IsLeaf(Rev rev) => Find(rev) is >= 0 and var index && !HasChild(index);

    public bool IsDeleted(Rev rev) => Find(rev) is >= 0 and var index && _nodes[index].Deleted;

    /// <summary>In the order of winners.</summary>
    public List<Leaf> Leaves()
    {
        var isParent = new bool[_nodes.Count];
        foreach (var node in _nodes)
        {
            if (node.Parent >= 0)
            {
                isParent[node.Parent] = true;
            }
        }
        var leaves = new List<Leaf>(1);
        for (var index = 0; index < _nodes.Count; index++)
        {
            if (!isParent[index])
            {
                leaves.Add(new(_nodes[index].Rev, _nodes[index].Deleted));
            }
        }
        leaves.Sort(static (one, other) => one.Deleted != other.Deleted ? one.Deleted.CompareTo(other.Deleted) : other.Rev.CompareTo(one.Rev));
        return leaves;
    }

    /// <summary>From that revision to the oldest that is remembered.</summary>
    public List<Rev> PathOf(Rev rev)
    {
        var path = new List<Rev>();
        for (var index = Find(rev); index >= 0; index = _nodes[index].Parent)
        {
            path.Add(_nodes[index].Rev);
        }
        return path;
    }

    /// <summary>The leaves that came of a revision; itself when it is one.</summary>
    public List<Leaf> LeavesUnder(Rev rev) => Leaves().FindAll(leaf => PathOf(leaf.Rev).Contains(rev));

    /// <summary>Adds a child to a revision of the tree, or a root without one.</summary>
    public void Add(Rev rev, Rev? parent, bool deleted) => _nodes.Add(new(rev, parent is { } known ? Find(known) : NoParent, deleted));

    /// <summary>Joins a revision with its ancestors, newest first, as another peer tells of them.</summary>
    /// <returns>False when it was known, so that nothing came of it but perhaps older ancestors.</returns>
    public bool Merge(IReadOnlyList<Rev> path, bool deleted)
    {
        if (Contains(path[0]))
        {
            return false;
        }
        // Both may be long: no look through the tree for each step.
        var places = new Dictionary<Rev, int>(_nodes.Count);
        for (var index = 0; index < _nodes.Count; index++)
        {
            places[_nodes[index].Rev] = index;
        }
        var parent = NoParent;
        for (var i = path.Count - 1; i >= 0; i--)
        {
            if (!places.TryGetValue(path[i], out var known))
            {
                known = _nodes.Count;
                _nodes.Add(new(path[i], parent, i is 0 && deleted));
            }
            else if (_nodes[known].Parent is NoParent && parent >= 0)
            {
                // This peer remembers less of the past than the other does. A parent is one generation below, so no circle comes of it.
                _nodes[known] = _nodes[known] with { Parent = parent };
            }
            parent = known;
        }
        Sort();
        return true;
    }

    /// <summary>Forgets ancestors that are further than that from every leaf.</summary>
    public void Stem(int limit)
    {
        if (_nodes.Count <= limit)
        {
            return;
        }
        var kept = new bool[_nodes.Count];
        foreach (var leaf in Leaves())
        {
            var index = Find(leaf.Rev);
            for (var distance = 0; distance < limit && index >= 0; distance++, index = _nodes[index].Parent)
            {
                kept[index] = true;
            }
        }
        Keep(kept);
    }

    /// <summary>Takes leaves out for good, with the ancestors that nothing else came of.</summary>
    /// <returns>Those that were leaves.</returns>
    public List<Rev> Purge(IEnumerable<Rev> revs)
    {
        var purged = revs.Distinct().Where(IsLeaf).ToList();
        var children = new int[_nodes.Count];
        foreach (var node in _nodes.Where(node => node.Parent >= 0))
        {
            children[node.Parent]++;
        }
        var kept = new bool[_nodes.Count];
        Array.Fill(kept, true);
        foreach (var rev in purged)
        {
            for (var index = Find(rev); index >= 0 && children[index] is 0; index = _nodes[index].Parent)
            {
                kept[index] = false;
                if (_nodes[index].Parent >= 0)
                {
                    children[_nodes[index].Parent]--;
                }
            }
        }
        Keep(kept);
        return purged;
    }

    private void Keep(bool[] kept)
    {
        var moved = new int[_nodes.Count];
        var count = 0;
        for (var index = 0; index < _nodes.Count; index++)
        {
            moved[index] = kept[index] ? count : NoParent;
            if (kept[index])
            {
                var node = _nodes[index];
                _nodes[count++] = node with { Parent = node.Parent >= 0 ? moved[node.Parent] : NoParent };
            }
        }
        _nodes.RemoveRange(count, _nodes.Count - count);
    }

    /// <summary>Parents before their children, when ancestors were put before a root.</summary>
    private void Sort()
    {
        var isSorted = true;
        for (var index = 0; index < _nodes.Count; index++)
        {
            isSorted &= _nodes[index].Parent < index;
        }
        if (isSorted)
        {
            return;
        }
        var order = Enumerable.Range(0, _nodes.Count).OrderBy(index => _nodes[index].Rev.Generation).ToArray();
        var place = new int[order.Length];
        for (var i = 0; i < order.Length; i++)
        {
            place[order[i]] = i;
        }
        var sorted = order.Select(index => _nodes[index] with { Parent = _nodes[index].Parent >= 0 ? place[_nodes[index].Parent] : NoParent }).ToList();
        _nodes.Clear();
        _nodes.AddRange(sorted);
    }

    private bool HasChild(int parent)
    {
        for (var index = _nodes.Count - 1; index >= 0; index--)
        {
            if (_nodes[index].Parent == parent)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>The newest are asked for most.</summary>
    private int Find(Rev rev)
    {
        for (var index = _nodes.Count - 1; index >= 0; index--)
        {
            if (_nodes[index].Rev == rev)
            {
                return index;
            }
        }
        return NoParent;
    }

    internal readonly record struct Node(Rev Rev, int Parent, bool Deleted);
}

internal readonly record struct Leaf(Rev Rev, bool Deleted);
