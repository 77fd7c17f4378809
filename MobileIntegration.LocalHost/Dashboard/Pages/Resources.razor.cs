using Microsoft.AspNetCore.Components;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost.Dashboard.Pages;

public sealed partial class Resources
{
    private IReadOnlyList<(ResourceEvent Item, int Depth)> _rows = [];
    private ResourceEvent? _chosen;
    private (string Id, ResourceCommandSnapshot Command)? _asked;
    private (string Text, bool IsBad, string? Data)? _answer;

    /// <summary>An instance's id, or a resource's name.</summary>
    [SupplyParameterFromQuery]
    public string? Resource { get; set; }

    [SupplyParameterFromQuery]
    public string? Text { get; set; }

    [SupplyParameterFromQuery]
    public string? Type { get; set; }

    [SupplyParameterFromQuery]
    public bool Bad { get; set; }

    protected override bool ShowsResources => true;

    protected override void Read()
    {
        _rows = Board.Tree();
        _chosen = Resource is null ? null : Board.Find(Resource);
    }

    private static IEnumerable<ResourceCommandSnapshot> Offered(CustomResourceSnapshot snapshot) =>
        snapshot.Commands.Where(command => command.State != ResourceCommandState.Hidden && command.Visibility.HasFlag(ResourceCommandVisibility.UI));

    private string Summary()
    {
        var looks = _rows.Select(row => ResourceBoard.LookOf(row.Item.Snapshot)).ToList();
        var bad = looks.Count(look => look == "bad");
        return $"{looks.Count(look => look == "good")} of {looks.Count} in order{(bad > 0 ? $", {bad} not" : "")}";
    }

    private bool Fits(ResourceEvent item) =>
        (string.IsNullOrEmpty(Type) || item.Snapshot.ResourceType == Type) &&
        (!Bad || ResourceBoard.LookOf(item.Snapshot) is "bad" or "wait") &&
        (string.IsNullOrEmpty(Text) || Has(item.ResourceId) || Has(item.Snapshot.ResourceType) || Has(item.Snapshot.State?.Text) || Has(ResourceFacts.Source(item.Snapshot)));

    private bool Has(string? text) => text?.Contains(Text!, StringComparison.OrdinalIgnoreCase) == true;

    private Task AskAsync(string id, ResourceCommandSnapshot command)
    {
        if (command.ConfirmationMessage is null && command.Arguments.Count == 0)
        {
            return RunAsync(id, command, []);
        }

        _asked = (id, command);
        return Task.CompletedTask;
    }

    private async Task RunAsync(string id, ResourceCommandSnapshot command, IReadOnlyList<InteractionInput> inputs)
    {
        _asked = null;
        _answer = ($"{command.DisplayName} {id} …", false, null);
        StateHasChanged();
        var result = await Commands.ExecuteCommandAsync(id, command.Name, new InteractionInputCollection(inputs));
        var outcome = result.Success ? "done" : result.Canceled ? "cancelled" : "failed";
        _answer = ($"{command.DisplayName} {id}: {outcome}. {result.Message}", !result.Success, result.Data?.Value);
    }
}
