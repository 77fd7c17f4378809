using System.Text.Json;
using MobileIntegration.Contracts;

namespace FrontendServices.Sections;

/// <summary>What became of a section.</summary>
internal enum SectionStatus
{
    /// <summary>As it is now, or was a moment ago.</summary>
    Fresh,

    /// <summary>As it was <c>age</c> seconds ago: whoever knows better gave no answer.</summary>
    Stale,

    /// <summary>Not there; <c>problem</c> says why.</summary>
    Failed,

    /// <summary>Not asked for.</summary>
    Skipped,
}

/// <param name="Section">There when fresh or stale.</param>
/// <param name="Age">Of what is stale.</param>
/// <param name="Problem">Why it failed; where that is known, why it is stale.</param>
internal sealed record SectionAnswer(SectionStatus Status, KeptSection? Section, TimeSpan Age, Problem? Problem)
{
    public static readonly SectionAnswer Skipped = new(SectionStatus.Skipped, null, default, null);
    public static readonly Task<SectionAnswer> SkippedTask = Task.FromResult(Skipped);

    public static SectionAnswer Fresh(KeptSection section) => new(SectionStatus.Fresh, section, default, null);

    public static SectionAnswer Stale(KeptSection section, TimeSpan age, Problem? problem) => new(SectionStatus.Stale, section, age, problem);

    public static SectionAnswer Failed(Problem problem) => new(SectionStatus.Failed, null, default, problem);

    public void Write(Utf8JsonWriter writer, FieldTree? fields)
    {
        writer.WriteStartObject();
        writer.WriteString("status"u8, Status switch
        {
            SectionStatus.Fresh => "fresh"u8,
            SectionStatus.Stale => "stale"u8,
            SectionStatus.Failed => "failed"u8,
            _ => "skipped"u8,
        });
        if (Status is SectionStatus.Stale)
        {
            writer.WriteNumber("age"u8, (long)Age.TotalSeconds);
        }
        if (Section is not null)
        {
            writer.WritePropertyName("data"u8);
            if (fields is null)
            {
                writer.WriteRawValue(Section.Json, skipInputValidation: true);
            }
            else
            {
                using var document = JsonDocument.Parse(Section.Json);
                fields.Write(writer, document.RootElement);
            }
        }
        if (Problem is not null)
        {
            writer.WritePropertyName("problem"u8);
            WriteProblem(writer, Problem);
        }
        writer.WriteEndObject();
    }

    private static void WriteProblem(Utf8JsonWriter writer, Problem problem)
    {
        writer.WriteStartObject();
        writer.WriteString("type"u8, problem.Extensions?.TryGetValue("type", out var type) is true ? type.ToString() : "about:blank");
        writer.WriteString("title"u8, problem.Title);
        writer.WriteNumber("status"u8, problem.Status);
        writer.WriteString("detail"u8, problem.Detail);
        if (problem.Extensions?.TryGetValue("system", out var system) is true)
        {
            writer.WriteString("system"u8, system.ToString());
        }
        writer.WriteEndObject();
    }
}
