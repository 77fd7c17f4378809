namespace MobileServices.Sync.Revisions;

/// <summary>What a tree forgets.</summary>
internal sealed partial class RevisionTree
{
    /// <summary>Forgets ancestors that are further than that from every leaf; of a tree that is larger still, what is furthest, until there is room for it. Leaves stay.</summary>
    public void Stem(int limit, int most = int.MaxValue)
    {
        if (_nodes.Count <= Math.Min(limit, most))
        {
            return;
        }
        Sort();
        var distances = Distances();
        if (distances.Count(distance => distance < limit) > most)
        {
            limit = Math.Max(1, distances.Order().ElementAt(most));
        }
        Keep(Array.ConvertAll(distances, distance => distance < limit));
    }

    /// <summary>Takes leaves out for good, with the ancestors that nothing else came of.</summary>
    /// <returns>Those that were leaves.</returns>
    public List<Rev> Purge(IEnumerable<Rev> revs)
    {
        Sort();
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
        _leaves = null;
        Keep(kept);
        return purged;
    }

    /// <summary>How far the nearest leaf is, told from children to parents; in a tree that is sorted.</summary>
    private int[] Distances()
    {
        var distances = new int[_nodes.Count];
        Array.Fill(distances, int.MaxValue);
        for (var index = _nodes.Count - 1; index >= 0; index--)
        {
            if (distances[index] is int.MaxValue)
            {
                distances[index] = 0;
            }
            if (_nodes[index].Parent is >= 0 and var parent)
            {
                distances[parent] = Math.Min(distances[parent], distances[index] + 1);
            }
        }
        return distances;
    }

    /// <summary>In a tree that is sorted.</summary>
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
        _places = null;
    }
}
