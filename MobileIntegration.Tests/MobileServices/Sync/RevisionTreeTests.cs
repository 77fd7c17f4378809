using MobileServices.Sync.Revisions;

namespace MobileIntegration.Tests.MobileServices.Sync;

public sealed class RevisionTreeTests
{
    [Fact]
    public void The_winner_is_not_deleted_then_the_longest_then_the_greatest_whatever_the_order_of_arrival()
    {
        (string[] Path, bool Deleted)[] branches =
        [
            (["2-b", "1-a"], false), (["2-c", "1-a"], false), (["3-d", "2-c", "1-a"], true), (["4-e", "3-x", "2-y", "1-a"], true), (["1-z"], false),
        ];
        for (var seed = 0; seed < 50; seed++)
        {
            var tree = new RevisionTree();
            foreach (var (path, deleted) in Shuffled(branches, seed))
            {
                tree.Merge(Path(path), deleted);
                tree = RevisionTree.Read(tree.ToBytes());
            }
            Assert.Equal(["2-b", "1-z", "4-e", "3-d"], tree.Leaves().Select(leaf => leaf.Rev.ToString()));
            Assert.Equal(["3-d", "2-c", "1-a"], tree.PathOf(Rev("3-d")).Select(rev => rev.ToString()));
        }
    }

    [Fact]
    public void A_known_revision_changes_nothing_and_a_longer_past_is_joined()
    {
        var tree = new RevisionTree();
        Assert.True(tree.Merge(Path("5-e", "4-d"), deleted: false));
        Assert.False(tree.Merge(Path("4-d"), deleted: false));
        Assert.True(tree.Merge(Path("6-f", "5-e", "4-d", "3-c", "2-b"), deleted: false));
        Assert.Equal(["6-f", "5-e", "4-d", "3-c", "2-b"], tree.PathOf(tree.Leaves().Single().Rev).Select(rev => rev.ToString()));
        Assert.Equal(5, RevisionTree.Read(tree.ToBytes()).Count);
    }

    [Fact]
    public void A_past_of_a_hundred_thousand_revisions_is_joined_with_what_is_known_of_it()
    {
        const int Count = 100_000;
        List<Rev> path = [.. Enumerable.Range(0, Count).Select(n => Hashed(Count - n, Count - n))];
        var tree = new RevisionTree();
        for (var n = 10; n < Count; n += 10)
        {
            tree.Add(path[n], null, deleted: false);
        }
        Assert.True(tree.Merge(path, deleted: false));
        Assert.Equal(path, tree.PathOf(path[0]));
        Assert.True(tree.Merge([Hashed(Count, 7), .. path[1..]], deleted: true));
        Assert.False(tree.Merge(path, deleted: false));
        tree = RevisionTree.Read(tree.ToBytes());
        Assert.Equal([path[0], Hashed(Count, 7)], tree.Leaves().Select(leaf => leaf.Rev));
        Assert.Equal(path[1..], tree.PathOf(Hashed(Count, 7))[1..]);

        Assert.Equal([path[0]], tree.Purge([path[0], path[0], path[1]]));
        Assert.Equal(Count, tree.Count);
        tree.Stem(1000);
        Assert.Equal(1000, tree.Count);
        Assert.Equal([Hashed(Count, 7)], tree.Purge([Hashed(Count, 7)]));
        Assert.Equal(0, tree.Count);
    }

    [Fact]
    public void A_thousand_edits_take_less_than_twenty_bytes_each_and_stemming_forgets_the_oldest_of_every_branch()
    {
        var tree = new RevisionTree();
        Rev? parent = null;
        for (var generation = 1; generation <= 1000; generation++)
        {
            var rev = Hashed(generation, generation);
            tree.Add(rev, parent, deleted: false);
            parent = rev;
        }
        Assert.InRange(tree.ToBytes().Length, 17_000, 20_000);

        tree.Add(Hashed(991, 7), Hashed(990, 990), deleted: false);
        tree.Stem(20);
        Assert.Equal(2, tree.Leaves().Count);
        // What the shorter branch remembers is the past of the longer one as well.
        Assert.Equal(29, tree.PathOf(Hashed(1000, 1000)).Count);
        Assert.Equal(20, tree.PathOf(Hashed(991, 7)).Count);
        Assert.False(tree.Contains(Hashed(971, 971)));
        Assert.Equal(tree.Leaves(), RevisionTree.Read(tree.ToBytes()).Leaves());
    }

    [Fact]
    public void Leaves_are_told_before_a_path_is_taken_in_and_are_the_same_when_the_tree_is_read_again()
    {
        for (var seed = 0; seed < 30; seed++)
        {
            var tree = new RevisionTree();
            // Paths of many peers that remember more or less, of a few hashes, so that they meet, contradict each other and lead on from leaves.
            foreach (var n in Shuffled([.. Enumerable.Range(0, 200)], seed))
            {
                var generation = 1 + (n * 7 % 12);
                List<Rev> path = [.. Enumerable.Range(0, 1 + (n % generation)).Select(back => Rev($"{generation - back}-{(char)('a' + ((n / (back + 1)) % 5))}"))];
                var (before, expected) = (tree.Leaves().Count, tree.LeavesWith(path));
                Assert.Equal(tree.Merge(path, n % 3 is 0) ? expected : before, tree.Leaves().Count);
                var read = RevisionTree.Read(tree.ToBytes());
                Assert.Equal(read.Leaves(), tree.Leaves());
                Assert.All(tree.Leaves(), leaf => Assert.Equal([leaf], read.LeavesUnder(leaf.Rev)));
            }
            Assert.InRange(tree.Leaves().Count, 2, 60);
            Assert.Equal(tree.Leaves(), tree.Leaves().SelectMany(leaf => tree.LeavesUnder(leaf.Rev)));
        }
    }

    [Fact]
    public void Who_tells_of_another_parent_than_is_known_makes_no_leaf_of_it()
    {
        var tree = new RevisionTree();
        tree.Merge(Path("2-b", "1-a"), deleted: false);
        Assert.True(tree.Merge(Path("4-d", "3-c", "2-b", "1-z"), deleted: false));
        Assert.Equal(["4-d"], tree.Leaves().Select(leaf => leaf.Rev.ToString()));
        Assert.Equal(Path("4-d", "3-c", "2-b", "1-a"), tree.PathOf(Rev("4-d")));
    }

    [Fact]
    public void A_tree_of_many_leaves_remembers_as_much_of_each_as_there_is_room_for()
    {
        const int Leaves = 1000;
        var tree = new RevisionTree();
        for (var n = 1; n <= Leaves; n++)
        {
            tree.Merge([.. Enumerable.Range(0, 200).Select(back => Hashed(200 - back, (n * 1000) + back))], deleted: n % 2 is 0);
        }
        Assert.Equal(Leaves * 200, tree.Count);
        tree.Stem(1000, most: 50_000);
        Assert.Equal((Leaves, 50_000), (tree.Leaves().Count, tree.Count));
        tree.Stem(1000, most: 10);
        Assert.Equal((Leaves, Leaves), (tree.Leaves().Count, tree.Count));
        Assert.Equal(tree.Leaves(), RevisionTree.Read(tree.ToBytes()).Leaves());
    }

    [Fact]
    public void A_purge_takes_a_leaf_with_what_led_to_it_alone()
    {
        var tree = new RevisionTree();
        tree.Merge(Path("3-c", "2-b", "1-a"), deleted: false);
        tree.Merge(Path("2-x", "1-a"), deleted: false);
        Assert.Equal([Rev("3-c")], tree.Purge([Rev("3-c"), Rev("1-a")]));
        Assert.Equal(["2-x"], tree.Leaves().Select(leaf => leaf.Rev.ToString()));
        Assert.False(tree.Contains(Rev("2-b")));
        Assert.True(tree.Contains(Rev("1-a")));
    }

    [Theory]
    [InlineData("1-917fa2381192822767f010b95b45325b", true)]
    [InlineData("12-any~text", true)]
    [InlineData("1-917FA2381192822767F010B95B45325B", true)]
    [InlineData("0-a", false)]
    [InlineData("-1-a", false)]
    [InlineData("1-", false)]
    [InlineData("a", false)]
    [InlineData("1-a b", false)]
    [InlineData("1-a\"b", false)]
    [InlineData("99999999999-a", false)]
    public void Revisions_are_read_as_they_are_written(string text, bool good)
    {
        Assert.Equal(good, global::MobileServices.Sync.Revisions.Rev.TryParse(text, out var rev));
        if (good)
        {
            Assert.Equal(text, rev.ToString());
        }
    }

    private static Rev Rev(string text) => global::MobileServices.Sync.Revisions.Rev.TryParse(text, out var rev) ? rev : throw new ArgumentException(text);

    private static Rev Hashed(int generation, int n) => Rev($"{generation}-{n:x32}");

    private static List<Rev> Path(params string[] revs) => [.. revs.Select(Rev)];

    private static T[] Shuffled<T>(T[] items, int seed)
    {
        var shuffled = items.ToArray();
#pragma warning disable CA5394 // A test that can be repeated.
        new Random(seed).Shuffle(shuffled);
#pragma warning restore CA5394
        return shuffled;
    }
}
