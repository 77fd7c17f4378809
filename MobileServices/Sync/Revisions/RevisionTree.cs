namespace MobileServices.Sync.Revisions;

/// <summary>
/// All revisions of a document that are remembered, each after its parent. A document has one winning leaf, the same on every peer: one that is not
/// deleted before one that is, then the higher generation, then the greater hash.
/// </summary>
internal sealed partial class RevisionTree
{
    private const int NoParent = -1;

    /// <summary>Look-ups in a tree for which no dictionary is made; most trees are small, or are asked for their newest alone.</summary>
    private const int FewLookUps = 8;

    private static readonly Comparer<Leaf> WinnersFirst = Comparer<Leaf>.Create(
        static (one, other) => one.Deleted != other.Deleted ? one.Deleted.CompareTo(other.Deleted) : other.Rev.CompareTo(one.Rev));

    private readonly List<Node> _nodes;
    private Dictionary<Rev, int>? _places;
    private List<Leaf>? _leaves;
    private int _lookUps;

    public RevisionTree() => _nodes = [];

    private RevisionTree(List<Node> nodes) => _nodes = nodes;

    public int Count => _nodes.Count;

    public IEnumerable<Rev> Revs => _nodes.Select(node => node.Rev);

    public static RevisionTree Read(ReadOnlySpan<byte> bytes) => new(TreeCode.Read(bytes));

    public byte[] ToBytes()
    {
        Sort();
        return TreeCode.Write(_nodes);
    }

    public bool Contains(Rev rev) => Find(rev) >= 0;

    public bool IsLeaf(Rev rev) => Find(rev) is >= 0 and var index && IsLeaf(index);

    public bool IsDeleted(Rev rev) => Find(rev) is >= 0 and var index && _nodes[index].Deleted;

    public Rev? ParentOf(Rev rev) => Find(rev) is >= 0 and var index && _nodes[index].Parent is >= 0 and var parent ? _nodes[parent].Rev : null;

    /// <summary>In the order of winners; not to be changed.</summary>
    public List<Leaf> Leaves()
    {
        if (_leaves is not null)
        {
            return _leaves;
        }
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
        leaves.Sort(WinnersFirst);
        return _leaves = leaves;
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
    public List<Leaf> LeavesUnder(Rev rev)
    {
        Sort();
        var top = Find(rev);
        if (top < 0)
        {
            return [];
        }
        var isUnder = new bool[_nodes.Count];
        isUnder[top] = true;
        for (var index = top + 1; index < _nodes.Count; index++)
        {
            isUnder[index] = _nodes[index].Parent is >= 0 and var parent && isUnder[parent];
        }
        return Leaves().FindAll(leaf => isUnder[Find(leaf.Rev)]);
    }

    /// <summary>Adds a child to a revision of the tree, or a root without one.</summary>
    public void Add(Rev rev, Rev? parent, bool deleted)
    {
        var under = parent is { } known ? Find(known) : NoParent;
        IsParent(under);
        Append(new(rev, under, deleted));
        IsNewLeaf(rev, deleted);
    }

    /// <summary>How many leaves there are once <see cref="Merge"/> has taken in a revision that is not known.</summary>
    public int LeavesWith(IReadOnlyList<Rev> path)
    {
        AgreesUpTo(path, out var leaves);
        return Leaves().Count + 1 - leaves;
    }

    /// <summary>Joins a revision with its ancestors, newest first, as another peer tells of them.</summary>
    /// <returns>False when it was known, so that nothing came of it but perhaps older ancestors.</returns>
    public bool Merge(IReadOnlyList<Rev> path, bool deleted)
    {
        if (Contains(path[0]))
        {
            return false;
        }
        // Both may be long: no look through the tree for each step.
        var places = Places();
        var parent = NoParent;
        for (var i = AgreesUpTo(path, out _) - 1; i >= 0; i--)
        {
            if (!places.TryGetValue(path[i], out var known))
            {
                IsParent(parent);
                known = Append(new(path[i], parent, i is 0 && deleted));
            }
            else if (_nodes[known].Parent is NoParent && parent >= 0)
            {
                // This peer remembers less of the past than the other does. A parent is one generation below, so no circle comes of it.
                IsParent(parent);
                _nodes[known] = _nodes[known] with { Parent = parent };
            }
            parent = known;
        }
        IsNewLeaf(path[0], deleted);
        return true;
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
        _places = null;
    }

    /// <summary>
    /// How much of a path can be in the tree. A revision has one parent: where the tree knows another one, who made the path is wrong, and what is older would
    /// be a leaf without a body.
    /// </summary>
    /// <param name="leaves">How many of it are leaves.</param>
    private int AgreesUpTo(IReadOnlyList<Rev> path, out int leaves)
    {
        leaves = 0;
        var known = NoParent;
        for (var i = 0; i < path.Count && _nodes.Count > 0; i++)
        {
            if (known < 0)
            {
                if (!Places().TryGetValue(path[i], out known))
                {
                    known = NoParent;
                    continue;
                }
                leaves += IsLeaf(known) ? 1 : 0;
            }
            known = _nodes[known].Parent;
            if (known >= 0 && i + 1 < path.Count && _nodes[known].Rev != path[i + 1])
            {
                return i + 1;
            }
        }
        return path.Count;
    }

    private int Append(Node node)
    {
        _nodes.Add(node);
        _places?.TryAdd(node.Rev, _nodes.Count - 1);
        return _nodes.Count - 1;
    }

    private bool IsLeaf(int index) => Leaves().BinarySearch(new(_nodes[index].Rev, _nodes[index].Deleted), WinnersFirst) >= 0;

    private void IsNewLeaf(Rev rev, bool deleted)
    {
        if (_leaves is not null)
        {
            var leaf = new Leaf(rev, deleted);
            _leaves.Insert(~_leaves.BinarySearch(leaf, WinnersFirst), leaf);
        }
    }

    /// <summary>Something comes of it, so it is no leaf any more.</summary>
    private void IsParent(int index)
    {
        if (index >= 0 && _leaves?.BinarySearch(new(_nodes[index].Rev, _nodes[index].Deleted), WinnersFirst) is >= 0 and var leaf)
        {
            _leaves.RemoveAt(leaf);
        }
    }

    /// <summary>The newest are asked for most.</summary>
    private int Find(Rev rev)
    {
        if (_places is not null || (_nodes.Count > FewLookUps && ++_lookUps > FewLookUps))
        {
            return Places().GetValueOrDefault(rev, NoParent);
        }
        for (var index = _nodes.Count - 1; index >= 0; index--)
        {
            if (_nodes[index].Rev == rev)
            {
                return index;
            }
        }
        return NoParent;
    }

    private Dictionary<Rev, int> Places()
    {
        if (_places is null)
        {
            _places = new(_nodes.Count);
            for (var index = 0; index < _nodes.Count; index++)
            {
                _places[_nodes[index].Rev] = index;
            }
        }
        return _places;
    }

    internal readonly record struct Node(Rev Rev, int Parent, bool Deleted);
}

internal readonly record struct Leaf(Rev Rev, bool Deleted);
